"""Pure: values in, values out. Nothing here touches a disk, a process, a socket or a clock."""
