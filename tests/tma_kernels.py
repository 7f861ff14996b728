"""Hand-written products whose arrays all come as TMA descriptors: C = A B, layout nn, with their launches."""

from kerntune.spaces.config import Config
from kerntune.templates.template import Argument, Candidate, Launch
from kerntune.templates.tensor_map import TensorMap

TRITON = """
import triton
import triton.language as tl

@triton.jit
def gemm(a, b, c, K):
    m = tl.program_id(0) * 128
    n = tl.program_id(1) * 128
    sums = tl.zeros((128, 128), dtype=tl.float32)
    for k in range(0, K, 64):
        sums = tl.dot(a.load([m, k]), b.load([k, n]), sums)
    c.store([m, n], sums.to(tl.bfloat16))

@triton.jit
def copy_rows(rows, copy, COLS, PITCH):
    row = tl.program_id(0)
    for first in range(0, COLS, 128):
        column = first + tl.arange(0, 128)
        part = tl.load(rows + row * COLS + column, mask=column < COLS)
        tl.store(copy + row * PITCH + column, part, mask=column < COLS)
"""

CUDA = """
struct alignas(64) Map { unsigned long long opaque[16]; };

__device__ unsigned in_shared(const void *there) { return (unsigned)__cvta_generic_to_shared(there); }

__device__ void fetch(void *tile, const Map &map, int column, int row, void *arrived)
{
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
                 " [%0], [%1, {%2, %3}], [%4];"
                 :: "r"(in_shared(tile)), "l"(&map), "r"(column), "r"(row), "r"(in_shared(arrived)) : "memory");
}

// A copy that never arrives ends the kernel, not the test run.
__device__ void wait(void *arrived, int parity)
{
    for (int turn = 0; turn < 10000; turn++) {
        int done;
        asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.b32 %0, 1, 0, p; }"
                     : "=r"(done) : "r"(in_shared(arrived)), "r"(parity) : "memory");
        if (done) return;
    }
    __trap();
}

extern "C" __global__ void __launch_bounds__(256) gemm(const __grid_constant__ Map a, const __grid_constant__ Map b,
                                                      const __grid_constant__ Map c, int K)
{
    __shared__ alignas(128) float a_tile[16][32];
    __shared__ alignas(128) float b_tile[32][16];
    __shared__ alignas(128) float c_tile[16][16];
    __shared__ unsigned long long arrived;
    const int row = threadIdx.x / 16, column = threadIdx.x % 16;
    if (threadIdx.x == 0) {
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" :: "r"(in_shared(&arrived)) : "memory");
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    }
    __syncthreads();
    float sum = 0.0f;
    for (int turn = 0; turn * 32 < K; turn++) {
        if (threadIdx.x == 0) {
            asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;"
                         :: "r"(in_shared(&arrived)), "r"((unsigned)(sizeof a_tile + sizeof b_tile)) : "memory");
            fetch(a_tile, a, turn * 32, blockIdx.y * 16, &arrived);
            fetch(b_tile, b, blockIdx.x * 16, turn * 32, &arrived);
        }
        wait(&arrived, turn & 1);
        for (int k = 0; k < 32; k++) sum += a_tile[row][k] * b_tile[k][column];
        __syncthreads();
    }
    c_tile[row][column] = sum;
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    if (threadIdx.x == 0) {
        const int n = blockIdx.x * 16, m = blockIdx.y * 16;
        asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%1, %2}], [%3];"
                     :: "l"(&c), "r"(n), "r"(m), "r"(in_shared(c_tile)) : "memory");
        asm volatile("cp.async.bulk.commit_group;" ::: "memory");
        asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
    }
}
"""


def triton_product(m: int, n: int, k: int, a: TensorMap | None = None, **changes: object) -> Candidate:
    """Tiles of 128 x 128 x 64 in bf16; `a` where A does not lie in its own buffer, `changes` of the launch."""
    maps = (
        a or TensorMap.row_major("a", "bf16", (m, k)),
        TensorMap.row_major("b", "bf16", (k, n)),
        TensorMap.row_major("c", "bf16", (m, n)),
    )
    blocks = ((128, 64), (64, 128), (128, 128))
    described = (
        Argument(name, tensor.triton_type(*block), tensor=tensor)
        for name, tensor, block in zip("abc", maps, blocks, strict=True)
    )
    grid = (-(-m // 128), -(-n // 128), 1)
    launch = {"grid": grid, "options": {"num_warps": 8, "num_stages": 3}} | changes
    arguments = (*described, Argument("K", "i32", k))
    return Candidate("hand_written", "triton", Config({}), TRITON, ".py", Launch("gemm", arguments, **launch))


def copied_product(m: int, n: int, k: int) -> Candidate:
    """The same, for any K: A is copied to a workspace first, where each row begins at a multiple of 16 bytes."""
    pitch = -(-k // 8) * 8
    sizes = (Argument("COLS", "i32", k), Argument("PITCH", "i32", pitch))
    copy = Launch("copy_rows", (Argument("a", "*bf16"), Argument("a_copy", "*bf16"), *sizes), (m, 1, 1))
    padded = TensorMap.row_major("a_copy", "bf16", (m, k), pitch_bytes=2 * pitch)
    return triton_product(m, n, k, padded, before=(copy,), workspace={"a_copy": 2 * m * pitch})


def cuda_product(m: int, n: int, k: int, a_box: tuple[int, ...] = (16, 32)) -> Candidate:
    """Tiles of 16 x 16 x 32 in fp32."""
    maps = (
        TensorMap.row_major("a", "fp32", (m, k), a_box),
        TensorMap.row_major("b", "fp32", (k, n), (32, 16)),
        TensorMap.row_major("c", "fp32", (m, n), (16, 16)),
    )
    described = (Argument(tensor.buffer, "CUtensorMap", tensor=tensor) for tensor in maps)
    arguments = (*described, Argument("K", "i32", k))
    launch = Launch("gemm", arguments, (-(-n // 16), -(-m // 16), 1), block=(256, 1, 1))
    return Candidate("hand_written", "cuda", Config({}), CUDA, ".cu", launch)
