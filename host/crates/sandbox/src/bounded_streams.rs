use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::sync::io::streams::{self, InputStream, OutputStream};
use wasmtime_wasi::p2::{DynPollable, StreamError, StreamResult};
use wasmtime_wasi_io::bindings::wasi::io::streams::{HostInputStream as Input, HostOutputStream as Output};

use super::deadline::Deadline;
use super::lane_io::LaneIo;

/// `wasi:io/streams`, whose blocking functions wait only while the call has time left. Otherwise a peer that
/// never sends (or never reads) would block the lane for ever.
pub(super) struct BoundedStreams;

impl HasData for BoundedStreams {
    type Data<'a> = BoundedStreamsView<'a>;
}

/// Most bytes that a read without waiting asks of a file. The stream keeps them until the guest takes them, and a guest
/// has many streams.
const MOST_READ_AHEAD: u64 = 4 << 10;

/// The streams of one guest, and the time that its call has left.
pub(super) struct BoundedStreamsView<'a> {
    pub(super) deadline: &'a mut Deadline,
    pub(super) io: &'a LaneIo,
    pub(super) table: &'a mut ResourceTable,
}

impl BoundedStreamsView<'_> {
    fn wait<T>(&mut self, wait: impl AsyncFnOnce(&mut ResourceTable) -> StreamResult<T>) -> StreamResult<T> {
        let Self { deadline, io, table } = self;
        io.wait(deadline, wait(table)).unwrap_or_else(|over| Err(StreamError::Trap(over)))
    }

    /// Runs an operation that does not wait.
    fn beside<T>(&mut self, act: impl FnOnce(&mut ResourceTable) -> StreamResult<T>) -> StreamResult<T> {
        let Self { io, table, .. } = self;
        io.beside(|| act(table)).unwrap_or_else(|none| Err(StreamError::Trap(none)))
    }

    /// Waits until the bytes of a write have left the stream. Otherwise a guest with many streams could have the host
    /// keep a megabyte for each.
    fn written(&mut self, stream: &Resource<OutputStream>) -> StreamResult<()> {
        match self.wait(async |table| table.get_mut(stream)?.write_ready().await) {
            // The stream took the bytes before it was closed.
            Ok(_) | Err(StreamError::Closed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn end(&mut self, end: impl AsyncFnOnce(&mut ResourceTable) -> wasmtime::Result<()>) -> wasmtime::Result<()> {
        let Self { deadline, io, table } = self;
        io.wait(deadline, end(table))?
    }
}

impl streams::Host for BoundedStreamsView<'_> {
    fn convert_stream_error(&mut self, error: StreamError) -> wasmtime::Result<streams::StreamError> {
        streams::Host::convert_stream_error(self.table, error)
    }
}

impl streams::HostInputStream for BoundedStreamsView<'_> {
    fn read(&mut self, stream: Resource<InputStream>, len: u64) -> StreamResult<Vec<u8>> {
        self.beside(|table| Input::read(table, stream, len.min(MOST_READ_AHEAD)))
    }

    fn blocking_read(&mut self, stream: Resource<InputStream>, len: u64) -> StreamResult<Vec<u8>> {
        self.wait(async |table| Input::blocking_read(table, stream, len).await)
    }

    fn skip(&mut self, stream: Resource<InputStream>, len: u64) -> StreamResult<u64> {
        self.beside(|table| Input::skip(table, stream, len.min(MOST_READ_AHEAD)))
    }

    fn blocking_skip(&mut self, stream: Resource<InputStream>, len: u64) -> StreamResult<u64> {
        self.wait(async |table| Input::blocking_skip(table, stream, len).await)
    }

    fn subscribe(&mut self, stream: Resource<InputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        Input::subscribe(self.table, stream)
    }

    fn drop(&mut self, stream: Resource<InputStream>) -> wasmtime::Result<()> {
        self.end(async |table| Input::drop(table, stream).await)
    }
}

impl streams::HostOutputStream for BoundedStreamsView<'_> {
    fn check_write(&mut self, stream: Resource<OutputStream>) -> StreamResult<u64> {
        Output::check_write(self.table, stream)
    }

    fn write(&mut self, stream: Resource<OutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        let written = Resource::new_borrow(stream.rep());
        self.beside(|table| Output::write(table, stream, bytes))?;
        self.written(&written)
    }

    fn blocking_write_and_flush(&mut self, stream: Resource<OutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        self.wait(async |table| Output::blocking_write_and_flush(table, stream, bytes).await)
    }

    fn flush(&mut self, stream: Resource<OutputStream>) -> StreamResult<()> {
        self.beside(|table| Output::flush(table, stream))
    }

    fn blocking_flush(&mut self, stream: Resource<OutputStream>) -> StreamResult<()> {
        self.wait(async |table| Output::blocking_flush(table, stream).await)
    }

    fn subscribe(&mut self, stream: Resource<OutputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        Output::subscribe(self.table, stream)
    }

    fn write_zeroes(&mut self, stream: Resource<OutputStream>, len: u64) -> StreamResult<()> {
        let written = Resource::new_borrow(stream.rep());
        self.beside(|table| Output::write_zeroes(table, stream, len))?;
        self.written(&written)
    }

    fn blocking_write_zeroes_and_flush(&mut self, stream: Resource<OutputStream>, len: u64) -> StreamResult<()> {
        self.wait(async |table| Output::blocking_write_zeroes_and_flush(table, stream, len).await)
    }

    fn splice(&mut self, to: Resource<OutputStream>, from: Resource<InputStream>, len: u64) -> StreamResult<u64> {
        let written = Resource::new_borrow(to.rep());
        let count = self.beside(|table| Output::splice(table, to, from, len.min(MOST_READ_AHEAD)))?;
        self.written(&written)?;
        Ok(count)
    }

    fn blocking_splice(
        &mut self,
        to: Resource<OutputStream>,
        from: Resource<InputStream>,
        len: u64,
    ) -> StreamResult<u64> {
        self.wait(async |table| Output::blocking_splice(table, to, from, len).await)
    }

    fn drop(&mut self, stream: Resource<OutputStream>) -> wasmtime::Result<()> {
        self.end(async |table| Output::drop(table, stream).await)
    }
}
