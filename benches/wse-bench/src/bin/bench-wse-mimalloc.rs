//! `bench-wse` as a program that has chosen mimalloc for its allocator, which no library can do for it.
#[path = "bench-wse.rs"]
mod server;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> wse_bench::Result<()> {
    server::main()
}
