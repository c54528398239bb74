"""The Raspberry Pi client: press the button, see who it is. Stands alone, and copies to a Pi as one folder.

Where things are, in the order in which a capture meets them:

    __main__                the command line, and what each mode is made of
    presses, live, enrol    the modes: button, live, enrol
    sightings, tally        what a live session saw; how far an enrolment has got
    client                  all that stands between the camera and an answer, the same in each mode
    pins, button, lights    GPIO: the pins, presses without their bounces, LEDs and buzzer
    camera, picamera, usb   photos: out of a folder, by the ribbon cable, by USB
    spool, disk             captures until they are answered; files that are whole or not there
    uploader                from the spool to the service, for as long as it takes, and once
    service, door           what the service is asked, and what it means; HTTP below that
    answers, journal        an answer; all of them, on the disk
    settings, settings_file their names, bounds and reading; the file as install.sh writes it
    check, findings         `--check`, its looks and what they find; then, by what is looked at:
    check_board, check_disk, check_service
    supervision             what systemd is told
"""
