//! Tests of the conversation with a device that need a device of their own making.

mod lossy;
