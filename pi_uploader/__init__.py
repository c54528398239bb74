"""The Raspberry Pi client: press the button, see who it is. Stands alone, and copies to a Pi as one folder.

Where things are, in the order in which a capture meets them:

    __main__                the command line, and what each mode is made of
    presses, live, video, enrol   the modes: button, live, video, enrol
    sightings, tally        what a session saw; how far an enrolment has got
    client                  all that stands between the camera and an answer, the same in each mode
    pins, button, lights    GPIO: the pins, presses without their bounces, LEDs and buzzer
    camera, folder, picamera, usb   photos and clips: out of a folder, by the ribbon cable, by USB
    recording, segments, encoder    frames become clips; what is cut where; H.264 and MP4
    forms, spool, disk      what a capture is; captures until they are answered; files that are whole or not there
    uploader                from the spool to the service, for as long as it takes, and once
    service, errands        what the service is asked, and what it means; how far a capture has got there
    door, addresses         HTTP below that, and where it may go
    answers, journal        an answer; all of them, on the disk
    settings, settings_file   their names, bounds and reading; the file as install.sh writes it
    check, findings         `--check`, its looks and what they find; then, by what is looked at:
    check_board, check_disk, check_service
    supervision             what systemd is told
"""
