//! More sessions than may live: the real binary between raw clients and scripted CLIs that count who was live.

mod audit;
mod faults;
mod pair;
mod walk;
mod world;
