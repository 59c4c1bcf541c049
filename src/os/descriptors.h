// Which descriptors a program has that is executed.
#ifndef LODE_OS_DESCRIPTORS_H
#define LODE_OS_DESCRIPTORS_H

// In a child, between fork or vfork and exec: what is executed gets the descriptors below `count` alone. Libraries open some without O_CLOEXEC
// (libcurl its connections), and who started this program may have left some. A socket stays in the network that it was made in: with one
// of them a task would be out of its sandbox.
void descriptors_keep(int count);

#endif
