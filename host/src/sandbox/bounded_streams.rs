use tokio::time::timeout;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::sync::io::streams::{self, InputStream, OutputStream};
use wasmtime_wasi::p2::{DynPollable, StreamError, StreamResult};
use wasmtime_wasi::runtime::in_tokio;
use wasmtime_wasi_io::bindings::wasi::io::streams::{HostInputStream as Input, HostOutputStream as Output};

use super::deadline::Deadline;

/// `wasi:io/streams` whose blocking functions wait for as long as the call has time left and no longer: a peer that never
/// sends (or never reads) would otherwise hold the lane for ever.
///
/// Does not bound a file of the host's that blocks when it is opened, a named pipe in a granted folder say.
pub(super) struct BoundedStreams;

impl HasData for BoundedStreams {
    type Data<'a> = BoundedStreamsView<'a>;
}

/// The streams of one guest, and how long its call may still take.
pub(super) struct BoundedStreamsView<'a> {
    pub(super) deadline: &'a Deadline,
    pub(super) table: &'a mut ResourceTable,
}

impl BoundedStreamsView<'_> {
    fn wait<T>(&mut self, wait: impl AsyncFnOnce(&mut ResourceTable) -> StreamResult<T>) -> StreamResult<T> {
        let patience = self.deadline.patience();
        let waited = in_tokio(async { timeout(patience, wait(self.table)).await });
        waited.unwrap_or_else(|_| Err(StreamError::Trap(self.deadline.timed_out())))
    }
}

impl streams::Host for BoundedStreamsView<'_> {
    fn convert_stream_error(&mut self, error: StreamError) -> wasmtime::Result<streams::StreamError> {
        streams::Host::convert_stream_error(self.table, error)
    }
}

impl streams::HostInputStream for BoundedStreamsView<'_> {
    fn read(&mut self, stream: Resource<InputStream>, len: u64) -> StreamResult<Vec<u8>> {
        Input::read(self.table, stream, len)
    }

    fn blocking_read(&mut self, stream: Resource<InputStream>, len: u64) -> StreamResult<Vec<u8>> {
        self.wait(async |table| Input::blocking_read(table, stream, len).await)
    }

    fn skip(&mut self, stream: Resource<InputStream>, len: u64) -> StreamResult<u64> {
        Input::skip(self.table, stream, len)
    }

    fn blocking_skip(&mut self, stream: Resource<InputStream>, len: u64) -> StreamResult<u64> {
        self.wait(async |table| Input::blocking_skip(table, stream, len).await)
    }

    fn subscribe(&mut self, stream: Resource<InputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        Input::subscribe(self.table, stream)
    }

    fn drop(&mut self, stream: Resource<InputStream>) -> wasmtime::Result<()> {
        in_tokio(async { Input::drop(self.table, stream).await })
    }
}

impl streams::HostOutputStream for BoundedStreamsView<'_> {
    fn check_write(&mut self, stream: Resource<OutputStream>) -> StreamResult<u64> {
        Output::check_write(self.table, stream)
    }

    fn write(&mut self, stream: Resource<OutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        Output::write(self.table, stream, bytes)
    }

    fn blocking_write_and_flush(&mut self, stream: Resource<OutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        self.wait(async |table| Output::blocking_write_and_flush(table, stream, bytes).await)
    }

    fn flush(&mut self, stream: Resource<OutputStream>) -> StreamResult<()> {
        Output::flush(self.table, stream)
    }

    fn blocking_flush(&mut self, stream: Resource<OutputStream>) -> StreamResult<()> {
        self.wait(async |table| Output::blocking_flush(table, stream).await)
    }

    fn subscribe(&mut self, stream: Resource<OutputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        Output::subscribe(self.table, stream)
    }

    fn write_zeroes(&mut self, stream: Resource<OutputStream>, len: u64) -> StreamResult<()> {
        Output::write_zeroes(self.table, stream, len)
    }

    fn blocking_write_zeroes_and_flush(&mut self, stream: Resource<OutputStream>, len: u64) -> StreamResult<()> {
        self.wait(async |table| Output::blocking_write_zeroes_and_flush(table, stream, len).await)
    }

    fn splice(&mut self, to: Resource<OutputStream>, from: Resource<InputStream>, len: u64) -> StreamResult<u64> {
        Output::splice(self.table, to, from, len)
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
        in_tokio(async { Output::drop(self.table, stream).await })
    }
}
