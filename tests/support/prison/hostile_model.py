"""A model that tries to break out: each input is a JSON list, the name of an attempt and what it is given.

An answer says ``denied`` and the error's name, or ``escaped`` and what was got. Nothing but the standard library.
"""

import ctypes
import errno
import json
import os
import resource
import signal
import socket
import subprocess
import tempfile
import time

libc = ctypes.CDLL(None, use_errno=True)


def _libc(name, *arguments):
    if getattr(libc, name)(*arguments) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return "done"


def _call(number, *arguments):
    return _libc("syscall", ctypes.c_long(number), *(ctypes.c_long(each) for each in arguments))


class Attempts:
    def read(self, path):
        with open(path, "rb") as file:
            return repr(file.read(64))

    def link(self, path):
        return os.readlink(path)

    def list(self, path):
        return repr(os.listdir(path)[:3])

    def write(self, path):
        with open(path, "w") as file:
            return str(file.write("was here"))

    def append(self, path):
        with open(path, "a") as file:
            return str(file.write("was here"))

    def remove(self, path):
        os.unlink(path)

    def make_folder(self, path):
        os.mkdir(path)

    def rename(self, path, to):
        os.rename(path, to)

    def read_by_link(self, path):
        link = os.path.join(tempfile.mkdtemp(), "link")
        os.symlink(path, link)
        return self.read(link)

    def hard_link(self, path):
        os.link(path, os.path.join(tempfile.mkdtemp(), "link"))

    def own_folder(self):
        folder = tempfile.mkdtemp()
        path = os.path.join(folder, "file")
        self.write(path)
        os.rename(path, path + "2")
        text = self.read(path + "2")
        os.unlink(path + "2")
        os.rmdir(folder)
        return f"{text} {os.path.expanduser('~') == tempfile.gettempdir()}"

    def run_from_own_folder(self):
        path = os.path.join(tempfile.mkdtemp(), "script")
        with open(path, "w") as file:
            file.write("#!/bin/sh\necho ran\n")
        os.chmod(path, 0o700)
        return subprocess.run([path], capture_output=True, check=True).stdout.decode()

    def run(self, *command):
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            raise PermissionError(errno.EACCES, done.stderr.decode()[-200:])
        return done.stdout.decode()[-200:]

    def too_large(self, size):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with open(os.path.join(tempfile.mkdtemp(), "file"), "wb") as file:
            file.truncate(size)

    def connect(self, family, kind, address):
        with socket.socket(getattr(socket, family), getattr(socket, kind)) as sock:
            sock.settimeout(2)
            sock.connect(tuple(address) if isinstance(address, list) else address)

    def listen(self, family, address):
        with socket.socket(getattr(socket, family)) as sock:
            sock.bind(tuple(address) if isinstance(address, list) else address)
            sock.listen()

    def pair(self):
        one, other = socket.socketpair()
        with one, other:
            one.sendall(b"hello")
            return other.recv(5).decode()

    def signal(self, pid, number):
        os.kill(pid, number)

    def attach(self, pid):
        return _libc("ptrace", 16, pid, 0, 0)

    def peek(self, pid, address=4096):
        class Vector(ctypes.Structure):
            _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

        buffer = ctypes.create_string_buffer(8)
        ours, theirs = Vector(ctypes.addressof(buffer), 8), Vector(address, 8)
        return _libc("process_vm_readv", pid, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0)

    def become(self, user):
        os.setuid(user)

    def mount(self):
        return _libc("mount", b"none", tempfile.mkdtemp().encode(), b"tmpfs", 0, None)

    def unshare(self, flags):
        return _libc("unshare", flags)

    def chroot(self, path):
        os.chroot(path)

    def device(self):
        os.mknod(os.path.join(tempfile.mkdtemp(), "device"), 0o600 | 0o060000, os.makedev(8, 0))

    def call(self, number, *arguments):
        return _call(number, *arguments)

    def leave_session(self):
        os.setsid()

    def fork_leaving_session(self):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setsid()
            except OSError as error:
                os.write(writer, errno.errorcode[error.errno].encode())
            os._exit(0)
        os.waitpid(child, 0)
        os.close(writer)
        with os.fdopen(reader, "rb") as said:
            if name := said.read().decode():
                raise OSError(getattr(errno, name), "")

    def fork_bomb(self, most):
        children = []
        try:
            while len(children) < most:
                child = os.fork()
                if child == 0:
                    time.sleep(60)
                    os._exit(0)
                children.append(child)
            return str(len(children))
        finally:
            for child in children:
                os.kill(child, signal.SIGKILL)
            for child in children:
                os.waitpid(child, 0)

    def raise_limits(self):
        for which in (resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE, resource.RLIMIT_CORE):
            hard = resource.getrlimit(which)[1]
            try:
                resource.setrlimit(which, (hard + 1, hard + 1))
            except ValueError as error:
                raise PermissionError(errno.EPERM, str(error)) from None

    def status(self, field):
        with open("/proc/self/status") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith(field + ":"))

    def environment(self):
        return json.dumps(dict(os.environ))

    def descriptors(self):
        found = []
        for each in os.listdir("/proc/self/fd"):
            try:
                found.append(os.readlink(f"/proc/self/fd/{each}"))
            except FileNotFoundError:
                continue  # the one that the folder was listed by
        return json.dumps(found)

    def child_reads(self, path):
        return self.run("/bin/cat", path)


class Hostile:
    def predict_all(self, inputs):
        return [self._try(*json.loads(each)) for each in inputs]

    def _try(self, name, *arguments):
        try:
            got = getattr(Attempts(), name)(*arguments)
        except OSError as error:
            return f"denied {errno.errorcode.get(error.errno or 0, error)}"
        return f"escaped {got}"
