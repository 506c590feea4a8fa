// Loaded into the program (LD_PRELOAD), keeps in the directory POWER_CUT_SAFE what would be left after a power cut at any
// moment, at the worst: of each file of the database, what it held when it was last synced, and nothing written since.
//
// A rename makes each copy take its place at once, as the sync that it stands for is over at once.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void keep(int fd) {
    const char *safe = getenv("POWER_CUT_SAFE");
    char link[64], path[PATH_MAX], kept[PATH_MAX + 64], draft[PATH_MAX + 80], buffer[1 << 16];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (safe == NULL || length < 0) return;
    path[length] = 0;
    const char *name = strrchr(path, '/');
    if (name == NULL || strncmp(name, "/regain.db", 10) != 0) return;
    snprintf(kept, sizeof kept, "%s%s", safe, name);
    snprintf(draft, sizeof draft, "%s.draft", kept);
    pthread_mutex_lock(&lock);
    int out = open(draft, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    off_t at = 0;
    for (;;) {
        ssize_t got = pread(fd, buffer, sizeof buffer, at);
        if (got <= 0) break;
        if (write(out, buffer, (size_t)got) != got) abort();
        at += got;
    }
    close(out);
    if (rename(draft, kept) != 0) abort();
    pthread_mutex_unlock(&lock);
}

int fdatasync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    int result = real(fd);
    if (result == 0) keep(fd);
    return result;
}

int fsync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    int result = real(fd);
    if (result == 0) keep(fd);
    return result;
}
