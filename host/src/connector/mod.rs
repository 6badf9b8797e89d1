//! Built-in sources and sinks, and the two traits behind them, which embedders may implement too.
//!
//! A source is pulled by the engine on a thread of its own and fills a batch at a time; a sink is handed batches in order.
//! Neither knows of edges, lanes or retries.

mod port;

pub use port::{ConnectorError, Filled, Sink, SinkOutcome, Source, SourceProgress};
