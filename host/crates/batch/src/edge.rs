use super::Batch;
use super::record_batch::Time;
use sage_time::Watermark;

impl Batch {
    /// The edge on which these records came: its position among the inputs of the stage that has the batch.
    #[must_use]
    pub fn edge(&self) -> u32 {
        self.edge
    }

    /// Sets the edge on which these records came.
    pub fn set_edge(&mut self, edge: u32) {
        self.edge = edge;
    }
    /// How far event time is behind these records. In front of an inbox it is that of the sender, and behind it that
    /// of the receiver, which may have several senders.
    #[must_use]
    pub fn watermark(&self) -> Watermark {
        Watermark { time: self.time.0, idle: self.is_idle }
    }

    /// Sets how far event time is behind these records.
    pub fn set_watermark(&mut self, watermark: Watermark) {
        (self.time, self.is_idle) = (Time(watermark.time), watermark.idle);
    }
}
