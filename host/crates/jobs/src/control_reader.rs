use std::io::{self, Read};

use crate::ControlRequest;

/// Longest request, with its line end.
pub const LONGEST_REQUEST: usize = 4096;

/// Reads requests, one for each line. A peer that sends anything else gets an error, and no more than
/// [`LONGEST_REQUEST`] bytes of it are ever kept.
#[derive(Debug)]
pub struct ControlReader<R> {
    from: R,
    buffer: Vec<u8>,
}

/// Why there is no next request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The connection failed, or its time was over.
    #[error("cannot read the request: {0}")]
    Io(#[from] io::Error),

    /// The line is too long. The rest of the connection is unusable.
    #[error("the request is longer than {LONGEST_REQUEST} bytes")]
    TooLong,

    /// The connection ended in the middle of a line.
    #[error("the request has no line end")]
    Cut,

    /// The line is no request. The connection can be used further.
    #[error("the line is no request: {0}")]
    Malformed(String),
}

impl<R: Read> ControlReader<R> {
    /// Reads from this connection.
    pub fn new(from: R) -> Self {
        Self { from, buffer: Vec::new() }
    }

    /// The connection.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.from
    }

    /// The next request; `None` if the connection ended after a whole line.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn next_request(&mut self) -> Result<Option<ControlRequest>, RequestError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                if line.len() > LONGEST_REQUEST {
                    return Err(RequestError::TooLong);
                }
                let request = serde_json::from_slice(&line);
                return request.map(Some).map_err(|error| RequestError::Malformed(error.to_string()));
            }
            if self.buffer.len() >= LONGEST_REQUEST {
                return Err(RequestError::TooLong);
            }
            let mut piece = [0; 512];
            match self.from.read(&mut piece) {
                Ok(0) if self.buffer.is_empty() => return Ok(None),
                Ok(0) => return Err(RequestError::Cut),
                Ok(read) => self.buffer.extend_from_slice(piece.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives its bytes in pieces of the given lengths.
    struct Pieces<'a>(&'a [u8], Vec<usize>);

    impl Read for Pieces<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let most = self.1.pop().unwrap_or(usize::MAX).clamp(1, into.len());
            self.0.read(&mut into[..most])
        }
    }

    fn all(bytes: &[u8], pieces: Vec<usize>) -> Vec<Result<ControlRequest, String>> {
        let mut reader = ControlReader::new(Pieces(bytes, pieces));
        let mut read = Vec::new();
        loop {
            match reader.next_request() {
                Ok(Some(request)) => read.push(Ok(request)),
                Ok(None) => return read,
                Err(RequestError::Malformed(why)) => read.push(Err(why)),
                Err(error) => {
                    read.push(Err(error.to_string()));
                    return read;
                }
            }
            assert!(reader.buffer.len() <= LONGEST_REQUEST + 512, "{}", reader.buffer.len());
        }
    }

    #[test]
    fn a_bad_line_does_not_end_the_connection_and_a_long_or_cut_one_does() {
        let text = b"{\"do\":\"status\"}\n{\"do\":\"reboot\"}\n\n{\"do\":\"abort\"}\n{\"do\":\"dra";
        let read = all(text, vec![3; 100]);
        assert_eq!(read[0], Ok(ControlRequest::Status));
        assert!(read[1].as_ref().unwrap_err().starts_with("unknown variant `reboot`"), "{:?}", read[1]);
        assert!(read[2].is_err());
        assert_eq!(read[3], Ok(ControlRequest::Abort));
        assert_eq!(read[4], Err("the request has no line end".to_owned()));
        let long = vec![b' '; 3 * LONGEST_REQUEST];
        assert_eq!(all(&long, Vec::new()), [Err("the request is longer than 4096 bytes".to_owned())]);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same_requests_and_bounded_memory(
            bytes in prop::collection::vec(prop_oneof![
                any::<Vec<u8>>(),
                Just(b"{\"do\":\"metrics\"}\n".to_vec()),
                Just(b"{\"do\":\"drain\",\"timeout\":5}\n".to_vec()),
                Just(vec![b'['; 5000]),
                Just(b"\n".to_vec()),
            ], 0..8),
            pieces in prop::collection::vec(0_usize..600, 0..50),
        ) {
            let bytes = bytes.concat();
            prop_assert_eq!(all(&bytes, pieces), all(&bytes, Vec::new()));
        }
    }
}
