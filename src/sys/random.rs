//! Randomness from the kernel.

use std::io;

/// Fills `buf` with random bytes fit for keys.
///
/// # Errors
/// Only on kernels without `getrandom` (before 3.17).
pub fn fill(buf: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < buf.len() {
        let rest = &mut buf[done..];
        // SAFETY: pointer and length describe one live slice that we own exclusively.
        let got = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match got {
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => (),
            -1 => return Err(io::Error::last_os_error()),
            got => done += got as usize,
        }
    }
    Ok(())
}

/// A random number, for seeds and job-id-like nonces.
///
/// # Errors
/// As [`fill`].
pub fn u64() -> io::Result<u64> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_draws_differ() {
        assert_ne!(super::u64().unwrap(), super::u64().unwrap());
    }

    #[test]
    fn long_buffers_are_filled_whole() {
        let mut buf = vec![0; 100_000];
        super::fill(&mut buf).unwrap();
        assert!(buf.chunks(32).all(|chunk| chunk.iter().any(|byte| *byte != 0)));
    }
}
