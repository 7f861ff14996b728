// A GPU's blocks as fibers of one thread, and the instructions of cuda_skinny_ptx.cu.jinja as PTX ISA describes them.
// The kernel follows, then skinny_run.hpp.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <vector>
#include <ucontext.h>
#define __global__
#define __device__ static
#define __forceinline__ inline
#define __grid_constant__
#define __restrict__
#define __launch_bounds__(threads)
#define __cluster_dims__(x, y, z)
typedef OUT_TYPE out_t;
typedef SUM_TYPE acc_t;
struct alignas(8) Two { acc_t v[2]; };
struct alignas(16) Four { acc_t v[4]; };
struct alignas(4 * sizeof(out_t)) OutFour { out_t v[4]; };
struct Map { const unsigned char *data; long long rows, columns; int element, box_rows, box_columns, swizzle; };
static out_t to_out(acc_t x) { return x; }
static acc_t finish(acc_t x, int, int, long long, int, int) { return x; }

typedef std::function<void()> Job;
struct Barrier { int count = 0, turn = 0; };
struct Phases { int arrivals = 0, pending = 0, bytes = 0, phase = 0; };
struct Block { int index; std::vector<unsigned char> memory; Barrier all; Barrier warp[17]; std::map<unsigned, Phases> phases; };
struct Fiber { ucontext_t context; std::vector<char> stack; Block *block; int tid; bool done; std::vector<std::vector<Job>> groups; std::vector<Job> open; };
static std::vector<Fiber> fibers;
static std::vector<Block> blocks;
static std::vector<Job> later;      // bulk copies that nobody has seen yet
static std::vector<std::pair<const unsigned char *, long long>> operands;
static Fiber *me;
static ucontext_t scheduler;
static Barrier of_cluster;
static long long progress;
static bool lazy;
static int cluster_threads;
static struct { int x; } threadIdx, blockIdx;
static unsigned lanes[1 << 12][6];
enum { BASE = 1536 };               // of a block's memory: no multiple of 1024

[[noreturn]] static void fail(const char *what) { printf("%s (block %d, thread %d)\n", what, blockIdx.x, threadIdx.x); fflush(stdout); _Exit(1); }
static void yield() { Fiber *self = me; swapcontext(&self->context, &scheduler); }
static void meet(Barrier &barrier, int all)
{
    const int turn = barrier.turn;
    progress++;
    if (++barrier.count == all) { barrier.count = 0; barrier.turn++; }
    while (barrier.turn == turn) yield();
}
static void __syncthreads();
static void __syncwarp() { meet(me->block->warp[me->tid / 32], 32); }
static void __threadfence() {}
static int atomicAdd(int *at, int more) { const int was = *at; *at += more; return was; }
static unsigned char *block_memory() { return me->block->memory.data() + BASE; }
static unsigned char *in_shared(Block *block, unsigned at, int bytes)
{
    if (at < BASE || at + bytes > block->memory.size()) fail("outside of shared memory");
    if (at % bytes) fail("shared memory not aligned");
    return block->memory.data() + at;
}
static void readable(const unsigned char *at, int bytes)
{
    if ((uintptr_t)at % bytes) fail("global memory not aligned");
    for (auto &[start, size] : operands)
        if (at >= start && at + bytes <= start + size) return;
    fail("outside of the operands");
}
static unsigned shared_address(const void *at) { return (unsigned)((const unsigned char *)at - me->block->memory.data()); }
static unsigned long long weights_policy() { return 0; }
static void load_global(unsigned *to, const unsigned char *at, bool there, int words)
{
    memset(to, 0, words * 4);
    if (there) { readable(at, words * 4); memcpy(to, at, words * 4); }
}
template <int WORDS> static void load_weights(unsigned *to, const unsigned char *at, bool there, unsigned long long) { load_global(to, at, there, WORDS); }
static void load_token(unsigned *to, const unsigned char *at, bool there) { load_global(to, at, there, 4); }
static void load_shared(unsigned *to, unsigned from) { memcpy(to, in_shared(me->block, from, 16), 16); }
static unsigned low_halves(unsigned a, unsigned b) { return (a & 0xffff) | b << 16; }
static unsigned high_halves(unsigned a, unsigned b) { return a >> 16 | (b & 0xffff0000u); }
static int first_lane() { return me->block->index % 8 * 512 + me->tid / 32 * 32; }
static void matrices(unsigned *to, unsigned row, int count, bool turned)
{
    const int base = first_lane(), lane = me->tid % 32;
    lanes[base + lane][0] = row;
    __syncwarp();
    for (int m = 0; m < count; m++)
        if (!turned)
            memcpy(to + m, in_shared(me->block, lanes[base + m * 8 + lane / 4][0], 16) + lane % 4 * 4, 4);
        else {
            uint16_t half[2];
            for (int e = 0; e < 2; e++)
                memcpy(half + e, in_shared(me->block, lanes[base + m * 8 + lane % 4 * 2 + e][0], 16) + lane / 4 * 2, 2);
            to[m] = half[0] | (unsigned)half[1] << 16;
        }
    __syncwarp();
}
static void load_matrices(unsigned *to, unsigned row) { matrices(to, row, 4, false); }
static void load_turned(unsigned *to, unsigned row) { matrices(to, row, 4, true); }
static void load_two_matrices(unsigned *to, unsigned row) { matrices(to, row, 2, false); }
static void load_two_turned(unsigned *to, unsigned row) { matrices(to, row, 2, true); }
static acc_t element(unsigned word, int place)  // bf16, or int8 where sums are int
{
    if (sizeof(acc_t) == 4 && (acc_t)0.5 == 0) return (acc_t)(signed char)(word >> place * 8);
    const unsigned bits = place ? word & 0xffff0000u : word << 16;
    float value;
    memcpy(&value, &bits, 4);
    return (acc_t)value;
}
static void multiply(acc_t *sum, unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0, unsigned b1)
{
    const int base = first_lane(), lane = me->tid % 32, g = lane / 4, t = lane % 4, of_word = (acc_t)0.5 == 0 ? 4 : 2;
    const unsigned given[6] = {a0, a1, a2, a3, b0, b1};
    memcpy(lanes[base + lane], given, sizeof given);
    __syncwarp();
    for (int h = 0; h < 2; h++)
        for (int e = 0; e < 2; e++)
            for (int u = 0; u < 4; u++)
                for (int half = 0; half < 2; half++)
                    for (int p = 0; p < of_word; p++)
                        sum[h * 2 + e] += element(lanes[base + g * 4 + u][half * 2 + h], p) * element(lanes[base + (t * 2 + e) * 4 + u][4 + half], p);
    __syncwarp();
}
static void copy_token(unsigned to, const unsigned char *from, bool there)
{
    unsigned char *at = in_shared(me->block, to, 16);
    if (there) readable(from, 16);
    Job job = [=] { if (there) memcpy(at, from, 16); else memset(at, 0, 16); };
    if (lazy) me->open.push_back(job); else job();
}
static void copy_weights(unsigned to, const unsigned char *from, bool there, unsigned long long) { copy_token(to, from, there); }
static void close_group() { me->groups.push_back(me->open); me->open.clear(); }
template <int PENDING> static void wait_for_groups()
{
    while ((int)me->groups.size() > PENDING) { for (auto &job : me->groups[0]) job(); me->groups.erase(me->groups.begin()); }
}
static void settle(Phases &of) { if (of.pending == 0 && of.bytes == 0) { of.phase++; of.pending = of.arrivals; progress++; } }
static Phases &phases(unsigned at)
{
    in_shared(me->block, at, 8);
    if (!me->block->phases.count(at)) fail("a barrier that nobody made");
    return me->block->phases[at];
}
static void make_barrier(unsigned at, int arrivals) { in_shared(me->block, at, 8); me->block->phases[at] = {arrivals, arrivals, 0, 0}; }
static void show_barriers() {}
static void arrive(unsigned at) { Phases &of = phases(at); progress++; of.pending--; settle(of); }
static void expect_bytes(unsigned at, int bytes) { Phases &of = phases(at); of.bytes += bytes; of.pending--; progress++; }
static void wait(unsigned at, int parity) { while ((phases(at).phase & 1) == parity) yield(); }
static void fetch_tokens(unsigned to, const Map &map, int column, int row, unsigned barrier)
{
    Block *block = me->block;
    if (to % (map.swizzle ? map.swizzle * 8 : 128)) fail("a box not aligned");
    phases(barrier);
    Job job = [=] {
        for (int r = 0; r < map.box_rows; r++)
            for (int b = 0; b < map.box_columns * map.element; b++) {
                const long long x = column + b / map.element, y = row + r;
                unsigned at = to + r * map.box_columns * map.element + b;
                at ^= (at >> 7 & (map.swizzle ? map.swizzle / 16 - 1 : 0)) << 4;
                *in_shared(block, at, 1) = x < map.columns && y < map.rows ? map.data[(y * map.columns + x) * map.element + b % map.element] : 0;
            }
        Phases &of = block->phases[barrier];
        of.bytes -= map.box_rows * map.box_columns * map.element;
        settle(of);
        progress++;
    };
    if (lazy) later.push_back(job); else job();
}
static void fetch_weights(unsigned to, const Map &map, int column, int row, unsigned barrier, unsigned long long) { fetch_tokens(to, map, column, row, barrier); }
static void cluster_barrier() { meet(of_cluster, cluster_threads); }
static void load_of_peer(Four &to, unsigned here, int rank) { memcpy(&to, in_shared(&blocks[rank], here, 16), 16); }
static void load_of_peer(Four &to, const Four *from) { to = *from; }
