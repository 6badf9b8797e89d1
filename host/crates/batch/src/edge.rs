use super::Batch;

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
}
