//! espb-link
#![no_std]

pub mod slot;
