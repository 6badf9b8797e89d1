use std::io::{self, Read};

/// A reader whose first bytes can be examined before they are read.
pub(super) struct Peeking<R> {
    input: R,
    head: Vec<u8>,
    at: usize,
}

impl<R: Read> Peeking<R> {
    /// Bytes that one examination asks for at first. No check here needs bytes past the first 512.
    const CHUNK: usize = 4096;

    pub(super) fn new(input: R) -> Self {
        Self { input, head: Vec::new(), at: 0 }
    }

    pub(super) fn input(&self) -> &R {
        &self.input
    }

    /// Shows `judge` the first bytes, and more of them as long as it returns `None`. The second argument of
    /// `judge` is whether there will be no more bytes.
    ///
    /// # Errors
    /// Errors of the input. After `WouldBlock`, the call can be repeated.
    pub(super) fn look<T>(&mut self, judge: impl Fn(&[u8], bool) -> Option<T>) -> io::Result<T> {
        let mut ended = false;
        loop {
            if let Some(answer) = judge(&self.head, ended || self.head.len() >= Self::CHUNK) {
                return Ok(answer);
            }
            if ended {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let len = self.head.len();
            self.head.resize(len + Self::CHUNK, 0);
            let read = self.input.read(self.head.get_mut(len..).unwrap_or_default());
            self.head.truncate(len + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(n) => ended = n == 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl<R: Read> Read for Peeking<R> {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.head.is_empty() {
            return self.input.read(buffer);
        }
        let mut rest = self.head.get(self.at..).unwrap_or_default();
        let n = rest.read(buffer)?;
        self.at += n;
        if self.at == self.head.len() {
            (self.head, self.at) = (Vec::new(), 0);
        }
        Ok(n)
    }
}
