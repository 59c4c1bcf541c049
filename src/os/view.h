// What a process sees of files: two processes with the same view find the same file under every path.
#ifndef LODE_OS_VIEW_H
#define LODE_OS_VIEW_H

enum { VIEW_SIZE = 128 };

// Names this process's view: the machine since it was started, the mount namespace, the root folder. Empty when that cannot be told;
// then it is nobody's.
void view_read(char out[VIEW_SIZE]);

#endif
