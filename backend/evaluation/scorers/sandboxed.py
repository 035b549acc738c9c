"""Runs one program with its assertions, locked in; a script of its own, started by sandbox.py.

It gives up what it has, layer by layer, and only then runs what a model wrote: other processes
and the network (namespaces), files (Landlock), rights (capabilities), the means to start programs,
to connect and to signal (seccomp), and last time and memory (limits). Nothing of ours is imported:
the process starts with the standard library alone.
"""

from __future__ import annotations

import ast
import ctypes
import json
import os
import resource
import signal
import struct
import sys
import sysconfig
from typing import Any

# linux/sched.h, linux/prctl.h, linux/landlock.h, sys/mount.h, linux/seccomp.h, linux/filter.h
NEW_MOUNTS, NEW_IPC, NEW_USER, NEW_PIDS, NEW_NET = 0x20000, 0x8000000, 1 << 28, 1 << 29, 1 << 30
SET_DEATH_SIGNAL, SET_SECCOMP, NO_NEW_PRIVILEGES, SECCOMP_FILTER = 1, 22, 38, 2
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
READ_FILE, READ_FOLDER, FILE_ACCESS = 1 << 2, 1 << 3, 0b1100000000000111
NO_SUID_NO_DEVICES = 2 | 4
CAPABILITIES_3 = 0x20080522
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
KILL, ALLOW, NOT_PERMITTED = 0x80000000, 0x7FFF0000, 0x00050001
# The kernel's name of each machine, and the numbers there of: clone, fork, vfork, clone3, execve,
# execveat, socket, connect, io_uring_setup, kill, tkill, tgkill, pidfd_send_signal, ptrace,
# process_vm_readv, process_vm_writev.
REFUSED = {
    "x86_64": (
        0xC000003E,
        (56, 57, 58, 435, 59, 322, 41, 42, 425, 62, 200, 234, 424, 101, 310, 311),
    ),
    "aarch64": (0xC00000B7, (220, 435, 221, 281, 198, 203, 425, 129, 130, 131, 424, 117, 270, 271)),
}
X32 = 0x40000000
READABLE = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache",
    "/dev/null", "/dev/zero", "/dev/urandom",
)  # fmt: skip


def main() -> None:
    """Reads the request from stdin and writes the answer, one JSON object, to its descriptor."""
    request = json.loads(sys.stdin.buffer.read())
    report = int(sys.argv[1])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    done = leave_namespaces()
    if "processes" in done:
        wait_for(os.fork())
    done |= confine(request["folder"], done)
    missing = {"files", "network"} - done
    answer: dict[str, Any]
    if request["confined"] and missing:
        answer = {"refused": " and ".join(sorted(missing))}
    else:
        limit(request)
        # White space before JSON says nothing, but that the time runs from now.
        os.write(report, b" ")
        answer = judge(request["code"], request["checks"])
    flush()
    answer["confined"] = sorted(done - {"mounts"})
    os.write(report, json.dumps(answer).encode())
    os._exit(0)


def flush() -> None:
    """What the program has printed and not yet written."""
    try:
        sys.stdout.flush()
    except BaseException:
        return


def leave_namespaces() -> set[str]:
    """Leaves the host's network and processes behind, where the kernel lets everybody do so."""
    user, group = os.getuid(), os.getgid()
    if not call("unshare", NEW_USER | NEW_MOUNTS | NEW_IPC | NEW_PIDS | NEW_NET):
        return set()
    try:
        maps = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
        for name, text in maps.items():
            with open(f"/proc/self/{name}", "w") as handle:  # noqa: PTH123
                handle.write(text)
    except OSError:
        return {"network", "processes"}
    return {"network", "processes", "mounts"}


def wait_for(child: int) -> None:
    """Returns in the child; the parent ends as the child does."""
    if child == 0:
        call("prctl", SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        return
    _, status = os.waitpid(child, 0)
    os._exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


def confine(folder: str, done: set[str]) -> set[str]:
    """A small disk of its own, no file beyond it and the standard library, no rights left."""
    reached = set()
    options = f"size=8m,nr_inodes=256,mode=700,uid={os.getuid()},gid={os.getgid()}"
    if "mounts" in done and call(
        "mount", b"tmpfs", folder.encode(), b"tmpfs", NO_SUID_NO_DEVICES, options.encode()
    ):
        reached.add("space")
    os.chdir(folder)
    call("prctl", NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if restrict_files(folder):
        reached.add("files")
    header = struct.pack("=Ii", CAPABILITIES_3, 0)
    call("capset", header, bytes(24))
    if refuse_calls():
        reached |= {"network", "processes"}
    return reached


def restrict_files(folder: str) -> bool:
    """Landlock: what is not named here can neither be opened nor changed."""
    version = syscall(CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    files = (1 << (13 + (version >= 2) + (version >= 3) + (version >= 5))) - 1
    attributes = [files, 0b11 if version >= 4 else 0, 0b11 if version >= 6 else 0]
    size = 8 * (1 + (version >= 4) + (version >= 6))
    rules = syscall(CREATE_RULESET, struct.pack("=3Q", *attributes)[:size], size, 0)
    if rules < 0:
        return False
    libraries = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    for path in (*READABLE, *libraries):
        allow(rules, path, READ_FILE | READ_FOLDER)
    allow(rules, folder, files & ~1)
    return syscall(RESTRICT_SELF, rules, 0) == 0


def allow(rules: int, path: str, access: int) -> None:
    """One rule; a path that is not here needs none."""
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):  # noqa: PTH112
        access &= FILE_ACCESS
    syscall(ADD_RULE, rules, 1, struct.pack("=Qi", access, place), 0)
    os.close(place)


def refuse_calls() -> bool:
    """Seccomp: no second process or thread, no other program, no connection, no signal."""
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in REFUSED:
        return False
    architecture, numbers = REFUSED[machine]
    steps = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    steps.append((AT_LEAST, len(numbers) + 1, 0, X32))
    for place, number in enumerate(numbers):
        steps.append((EQUAL, len(numbers) - place, 0, number))
    steps += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, NOT_PERMITTED)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = struct.pack("HP", len(steps), ctypes.addressof(code))
    return call("prctl", SET_SECCOMP, SECCOMP_FILTER, program, 0, 0)


def limit(request: dict[str, Any]) -> None:
    """Time, memory, sizes; no process or thread beside this one."""
    bounds = {
        "RLIMIT_CPU": request["timeout_s"] + 1,
        "RLIMIT_AS": request["memory_mib"] * 2**20,
        "RLIMIT_FSIZE": request["output_bytes"],
        "RLIMIT_NOFILE": 64,
        "RLIMIT_CORE": 0,
        "RLIMIT_NPROC": 0,
    }
    for name, bound in bounds.items():
        which = getattr(resource, name, None)
        if which is not None:
            hard = resource.getrlimit(which)[1]
            bound = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
            resource.setrlimit(which, (bound, bound))


def judge(code: str, checks: list[str]) -> dict[str, Any]:
    """How many of the checks pass after the code has run, and what went wrong first."""
    steps = []
    try:
        for check in checks:
            for node in ast.parse(check).body:
                module = ast.Module([node], [])
                steps.append((isinstance(node, ast.Assert | ast.Expr), ast.unparse(node),
                              compile(module, "<check>", "exec")))  # fmt: skip
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return {"fault": str(error)[:200]}
    count = sum(counts for counts, _, _ in steps)
    names: dict[str, Any] = {"__name__": "answer"}
    try:
        exec(compile(code, "<answer>", "exec"), names)
    except BaseException as error:
        return {"passed": 0, "of": count, "first": f"the code ends with {in_words(error)}"}
    passed, first = 0, ""
    for counts, text, compiled in steps:
        try:
            exec(compiled, names)
            passed += counts
        except BaseException as error:
            first = first or f"{text[:120]}: {in_words(error)}"
            if not counts:
                break
    return {"passed": passed, "of": count, "first": first}


def in_words(error: BaseException) -> str:
    """An error's kind and message; what a program raises may have a hostile one."""
    try:
        text = str(error)[:120]
    except BaseException:
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def call(name: str, *arguments: Any) -> bool:
    """Whether a function of the C library succeeded; False where there is none."""
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    return function is not None and function(*arguments) == 0


def syscall(number: int, *arguments: Any) -> int:
    """A system call that the C library has no function for; -1 where it fails."""
    if sys.platform != "linux":
        return -1
    return int(ctypes.CDLL(None, use_errno=True).syscall(number, *arguments))


if __name__ == "__main__":
    main()
