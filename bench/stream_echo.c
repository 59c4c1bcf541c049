// Answers each line of standard input with the same line: the smallest streamed program.
#include <stdio.h>

int main(void)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length = 0;
    while ((length = getline(&line, &size, stdin)) > 0) {
        if (fwrite(line, 1, (size_t)length, stdout) != (size_t)length) {
            return 1;
        }
    }
    return 0;
}
