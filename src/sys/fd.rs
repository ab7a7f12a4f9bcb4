//! Descriptors: passing them over a socket, taking inherited ones, sealed memory files.
//!
//! Kernel: unix(7) `SCM_RIGHTS`, memfd_create(2), fcntl(2) `F_ADD_SEALS`.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::fcntl::{FcntlArg, FdFlag, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};

/// Takes ownership of a descriptor that the parent process left open for this one.
///
/// Call once for each number, before anything else in the process opens descriptors: that is what
/// makes the number belong to nobody else.
pub fn take_inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: `F_GETFD` reads the descriptor table only; any number may be asked for.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the number is open (checked above) and, as the function's contract says, belongs to
    // nobody else in this process.
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    set_inheritable(owned.as_fd(), false)?;
    Ok(owned)
}

/// Sets or clears close-on-exec.
pub fn set_inheritable(fd: BorrowedFd<'_>, inheritable: bool) -> io::Result<()> {
    let flags = if inheritable {
        FdFlag::empty()
    } else {
        FdFlag::FD_CLOEXEC
    };
    fcntl(fd, FcntlArg::F_SETFD(flags))?;
    Ok(())
}

/// Two connected sockets for descriptors: a message is received whole, and the end is seen.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let kind = SockType::SeqPacket;
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socketpair(AddressFamily::Unix, kind, None, flags)?)
}

/// Sends one descriptor with a one-byte message.
pub fn send(socket: BorrowedFd<'_>, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let payload = [IoSlice::new(b"f")];
    let descriptors = [descriptor.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&descriptors)];
    sendmsg::<()>(
        socket.as_raw_fd(),
        &payload,
        &message,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(())
}

/// Receives one descriptor, close-on-exec. `None` at end of stream. `WouldBlock` on an empty
/// non-blocking socket. A message without a descriptor is an error.
pub fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    let mut byte = [0_u8; 1];
    let mut payload = [IoSliceMut::new(&mut byte)];
    let mut space = cmsg_space!(RawFd);
    let message = recvmsg::<()>(
        socket.as_raw_fd(),
        &mut payload,
        Some(&mut space),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )?;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(descriptors) = control
            && let Some(&number) = descriptors.first()
        {
            // SAFETY: the kernel has just installed this number for this process, and the
            // buffer has room for one descriptor only, so nothing else owns it.
            return Ok(Some(unsafe { OwnedFd::from_raw_fd(number) }));
        }
    }
    if message.bytes == 0 {
        return Ok(None);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "message without a descriptor",
    ))
}

/// An empty memory file that can be sealed.
pub fn memory() -> io::Result<File> {
    let memory = memfd_create(
        c"v4run",
        MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING,
    )?;
    Ok(File::from(memory))
}

/// From now on nobody can change, grow, shrink or unseal this memory file.
pub fn seal(memory: &File) -> io::Result<()> {
    let seals = SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_SEAL;
    fcntl(memory, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::io::{Seek as _, Write as _};

    use super::*;

    #[test]
    fn descriptors_cross_a_socket_and_the_end_is_seen() {
        let (near, far) = pair().unwrap();
        let mut memory = memory().unwrap();
        memory.write_all(b"content").unwrap();
        send(near.as_fd(), memory.as_fd()).unwrap();
        let mut file = File::from(receive(far.as_fd()).unwrap().unwrap());
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "content");
        drop(near);
        assert!(receive(far.as_fd()).unwrap().is_none());
    }

    #[test]
    fn sealed_memory_cannot_be_changed() {
        let mut file = memory().unwrap();
        file.write_all(b"content").unwrap();
        seal(&file).unwrap();
        assert_eq!(
            file.write(b"x").unwrap_err().raw_os_error(),
            Some(libc::EPERM)
        );
        assert!(file.set_len(0).is_err());
    }
}
