use wasmtime::Error;
use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, Host, HostNetwork, Network};
use wasmtime_wasi::p2::bindings::sync::sockets::udp::IpAddressFamily;
use wasmtime_wasi::p2::bindings::sync::sockets::udp_create_socket;
use wasmtime_wasi::p2::{SocketError, SocketResult, UdpSocket};

/// `wasi:sockets/udp-create-socket`, which no pipeline can grant. The implementation of wasmtime denies it as well, but
/// starts a runtime with threads before it does.
pub(super) struct NoUdp;

impl HasData for NoUdp {
    type Data<'a> = Self;
}

impl udp_create_socket::Host for NoUdp {
    fn create_udp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        Err(ErrorCode::AccessDenied.into())
    }
}

/// The trait of the error's conversion. Its other functions are linked with the data of `wasi:sockets/network`.
impl Host for NoUdp {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(&mut self, _: Resource<Error>) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(None)
    }
}

impl HostNetwork for NoUdp {
    fn drop(&mut self, _: Resource<Network>) -> wasmtime::Result<()> {
        Ok(())
    }
}
