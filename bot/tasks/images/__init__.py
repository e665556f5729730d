"""From the bytes of a file that a stranger sent to the pixels that people see, in a process that may be killed."""
