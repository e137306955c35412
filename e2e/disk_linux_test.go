package e2e

import "syscall"

// mountSmall mounts a file system of 2 MiB at dir.
func mountSmall(dir string) (unmount func(), err error) {
	return func() { _ = syscall.Unmount(dir, 0) }, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m")
}
