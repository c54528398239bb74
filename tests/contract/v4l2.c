/* A USB camera for a machine without one: the calls that OpenCV makes on a V4L2 device, answered in its own process
 * (LD_PRELOAD). It goes by the rules of the kernel: https://docs.kernel.org/userspace-api/media/v4l/mmap.html
 *
 * Frames come at the rate that was asked for, into the buffers that are queued, oldest first; without one they are lost.
 * V4L2_PHOTO: a JPEG, whose last 8 bytes before its end mark are overwritten with the number of the frame, padded.
 * V4L2_FREEZE: a file; while it is there no frame comes. V4L2_TEAR: every nth frame lacks its end.
 * V4L2_FORMAT=YUYV: a camera that has no MJPG, all grey. V4L2_LEAST: buffers that the driver needs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

#define DEVICE "/dev/video7"
#define WIDTH 320
#define HEIGHT 240
#define ROOM (38 * 4096) /* whole pages, enough for WIDTH * HEIGHT * 2 */
#define MOST 32

static int device = -1, count, streaming, queue[MOST], queued, fps = 30;
static double queued_at[MOST], started, free_from;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static int frozen(void) {
  const char *file = getenv("V4L2_FREEZE");
  return file && access(file, F_OK) == 0;
}

/* The first whole frame that finds the oldest buffer, and when it is complete. */
static long next_frame(double *complete) {
  double from = queued_at[queue[0]] > free_from ? queued_at[queue[0]] : free_from;
  long number = (long)((from - started) * fps) + 1;
  *complete = started + (number + 1.0) / fps;
  return number;
}

static int is_yuyv(void) {
  const char *format = getenv("V4L2_FORMAT");
  return format && strcmp(format, "YUYV") == 0;
}

static unsigned fill(int index, long number) {
  static unsigned char frame[ROOM];
  if (is_yuyv()) {
    memset(frame, 128, ROOM);
    pwrite(device, frame, ROOM, (off_t)index * ROOM);
    return ROOM;
  }
  FILE *photo = fopen(getenv("V4L2_PHOTO"), "rb");
  size_t size = fread(frame, 1, ROOM - 100, photo);
  fclose(photo);
  char digits[9];
  snprintf(digits, sizeof digits, "%08ld", number);
  memcpy(frame + size - 10, digits, 8);
  memset(frame + size, 0, 100);
  const char *tear = getenv("V4L2_TEAR");
  if (tear && number % atoi(tear) == 0) size /= 2;
  else size += 100; /* many cameras pad */
  pwrite(device, frame, size, (off_t)index * ROOM);
  return size;
}

static int dequeue(struct v4l2_buffer *buffer) {
  double complete;
  if (!queued || !streaming || frozen()) { errno = EAGAIN; return -1; }
  long number = next_frame(&complete);
  if (now() < complete) { errno = EAGAIN; return -1; }
  buffer->index = queue[0];
  memmove(queue, queue + 1, --queued * sizeof *queue);
  free_from = complete - 0.5 / fps;
  buffer->bytesused = fill(buffer->index, number);
  buffer->length = ROOM;
  buffer->timestamp.tv_sec = (long)complete;
  buffer->timestamp.tv_usec = (long)((complete - (long)complete) * 1e6);
  return 0;
}

static int answer(unsigned long call, void *given) {
  struct v4l2_format *format = given;
  struct v4l2_buffer *buffer = given;
  struct v4l2_requestbuffers *request = given;
  struct v4l2_streamparm *rate = given;
  const char *least = getenv("V4L2_LEAST");
  switch (call) {
  case VIDIOC_QUERYCAP:
    ((struct v4l2_capability *)given)->capabilities = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
    return 0;
  case VIDIOC_G_FMT:
  case VIDIOC_S_FMT:
    format->fmt.pix.width = WIDTH;
    format->fmt.pix.height = HEIGHT;
    format->fmt.pix.pixelformat = is_yuyv() ? V4L2_PIX_FMT_YUYV : V4L2_PIX_FMT_MJPEG;
    format->fmt.pix.bytesperline = WIDTH * 2;
    format->fmt.pix.sizeimage = ROOM;
    return 0;
  case VIDIOC_S_PARM: fps = rate->parm.capture.timeperframe.denominator; return 0;
  case VIDIOC_G_PARM:
    rate->parm.capture.timeperframe.numerator = 1;
    rate->parm.capture.timeperframe.denominator = fps;
    return 0;
  case VIDIOC_REQBUFS:
    if (request->count && least && (int)request->count < atoi(least)) request->count = atoi(least);
    count = request->count, queued = 0;
    return ftruncate(device, (off_t)count * ROOM);
  case VIDIOC_QUERYBUF: buffer->length = ROOM; buffer->m.offset = buffer->index * ROOM; return 0;
  case VIDIOC_QBUF: queue[queued++] = buffer->index; queued_at[buffer->index] = now(); return 0;
  case VIDIOC_DQBUF: return dequeue(buffer);
  case VIDIOC_STREAMON: streaming = 1; started = free_from = now(); return 0;
  case VIDIOC_STREAMOFF: streaming = 0, queued = 0; return 0;
  }
  errno = EINVAL;
  return -1;
}

int open64(const char *path, int flags, ...) {
  int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
  va_list more;
  va_start(more, flags);
  int mode = va_arg(more, int);
  va_end(more);
  if (strcmp(path, DEVICE)) return real(path, flags, mode);
  return device = memfd_create("camera", 0);
}

int open(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  int mode = va_arg(more, int);
  va_end(more);
  return open64(path, flags, mode);
}

int ioctl(int fd, unsigned long call, ...) {
  int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
  va_list more;
  va_start(more, call);
  void *given = va_arg(more, void *);
  va_end(more);
  return fd == device && device >= 0 ? answer(call, given) : real(fd, call, given);
}

int select(int n, fd_set *reads, fd_set *writes, fd_set *others, struct timeval *wait) {
  int (*real)(int, fd_set *, fd_set *, fd_set *, struct timeval *) = dlsym(RTLD_NEXT, "select");
  if (device < 0 || !reads || !FD_ISSET(device, reads)) return real(n, reads, writes, others, wait);
  double complete, until = now() + wait->tv_sec + wait->tv_usec / 1e6;
  while (now() < until) {
    if (queued && streaming && !frozen() && (next_frame(&complete), now() >= complete)) return 1;
    usleep(1000);
  }
  return 0;
}
