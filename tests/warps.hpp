// CUDA C++ on a processor: a block is as many fibers of one thread, and what a warp does together waits for its 32 lanes.
// Fibers go on in random order, whole warps fall behind, and an asynchronous copy arrives at once or as late as it may;
// until then its bytes are NaN. So a kernel whose threads race computes something else at some seed.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <algorithm>
#include <deque>
#include <functional>
#include <vector>

#define __global__ static
#define __device__ static
#define __forceinline__ inline
#define __shared__
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __launch_bounds__(...)
#define __restrict__

struct Index { unsigned x, y, z; };
struct float4 { float x, y, z, w; };
struct int4 { int x, y, z, w; };
struct uint4 { unsigned x, y, z, w; };
static Index threadIdx, blockIdx, gridDim;
extern __align__(128) unsigned char shared[];
__align__(128) unsigned char shared[1 << 18];

[[noreturn]] static void fail(const char *what)
{
    printf("{\"fault\": \"%s, thread %u of block %u %u %u\"}\n", what, threadIdx.x, blockIdx.x, blockIdx.y, blockIdx.z);
    fflush(stdout);
    _Exit(3);
}

struct Pending { unsigned to; const unsigned char *from; int bytes, read; };
struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    std::deque<std::vector<Pending>> groups;
    std::vector<Pending> open;
    unsigned calls;
    bool done;
};
struct Meeting { int arrived; unsigned generation; };
struct Words { unsigned word[16]; };
struct Range { const unsigned char *low, *high; };

static std::vector<Fiber> fibers;
static std::vector<Meeting> warps;
static std::vector<Words> said[2];
static Meeting everyone;
static ucontext_t scheduler;
static std::vector<Range> readable;
static int smem_bytes, any;
static long conflicts;
static uint64_t state;

static unsigned draw()
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return state >> 33;
}

static void meet(Meeting &at, int count)
{
    const unsigned generation = at.generation;
    if (++at.arrived == count)
        at.arrived = 0, at.generation++;
    while (at.generation == generation)
        swapcontext(&fibers[threadIdx.x].context, &scheduler);
}

static void __syncthreads() { meet(everyone, fibers.size()); }
static int __syncthreads_or(int x)
{
    any |= x;
    __syncthreads();
    const int result = any;
    __syncthreads();
    any = 0;
    __syncthreads();
    return result;
}
static void __syncwarp() { meet(warps[threadIdx.x / 32], 32); }
static void __threadfence() {}
static unsigned atomicAdd(unsigned *at, unsigned x) { return (*at += x) - x; }
template <class T> static T __ldcg(const T *at) { return *at; }
static float __uint_as_float(unsigned x) { float y; memcpy(&y, &x, 4); return y; }
static unsigned __float_as_uint(float x) { unsigned y; memcpy(&y, &x, 4); return y; }
#define __expf expf
static unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) { return ((uint64_t)high << 32 | low) >> (shift & 31); }
static unsigned __byte_perm(unsigned x, unsigned y, unsigned selector)
{
    const uint64_t bytes = (uint64_t)y << 32 | x;
    unsigned result = 0;
    for (int i = 0; i < 4; i++)
        result |= (bytes >> (selector >> 4 * i & 7) * 8 & 0xff) << 8 * i;
    return result;
}

// What all lanes of this warp give, by lane.
static const Words *together(const Words &mine)
{
    const unsigned parity = fibers[threadIdx.x].calls++ & 1, warp = threadIdx.x / 32;
    said[parity][threadIdx.x] = mine;
    meet(warps[warp], 32);
    return &said[parity][warp * 32];
}

static unsigned char *in_shared(unsigned address, int bytes)
{
    if (address % bytes || address + bytes > (unsigned)smem_bytes)
        fail("shared memory out of bounds or not aligned");
    return shared + address;
}

static void arrive(const Pending &copy)
{
    memset(shared + copy.to, 0, copy.bytes);
    memcpy(shared + copy.to, copy.from, copy.read);
}

static void host_copy(unsigned to, const unsigned char *from, int bytes, int read)
{
    if ((uintptr_t)from % bytes && read)
        fail("a copy's source is not aligned");
    const auto holds = [&](const Range &range) { return from >= range.low && from + read <= range.high; };
    if (read && std::none_of(readable.begin(), readable.end(), holds))
        fail("a copy reads outside its array");
    memset(in_shared(to, bytes), 0xff, bytes);
    const Pending copy = {to, from, bytes, read};
    if (draw() % 2)
        arrive(copy);
    else
        fibers[threadIdx.x].open.push_back(copy);
}

static void host_close_group()
{
    Fiber &fiber = fibers[threadIdx.x];
    fiber.groups.push_back(fiber.open);
    fiber.open.clear();
}

static void host_wait(unsigned pending)
{
    auto &groups = fibers[threadIdx.x].groups;
    for (; groups.size() > pending; groups.pop_front())
        for (const Pending &copy : groups.front())
            arrive(copy);
}

static void host_store(unsigned to, const unsigned (&word)[4]) { memcpy(in_shared(to, 16), word, 16); }

// Lanes that go to shared memory at the same time, `bytes` each: those that meet in a bank but not in a word.
static void count_conflicts(const unsigned *address, int lanes, int bytes)
{
    for (int i = 0; i < lanes; i++)
        for (int j = 0; j < i; j++)
            conflicts += address[i] != address[j] && address[i] / bytes % (128 / bytes) == address[j] / bytes % (128 / bytes);
}

static void host_load(unsigned *word, unsigned from, int bytes)
{
    const Words *all = together({{from}});
    unsigned address[32];
    for (int lane = 0; lane < 32; lane++)
        address[lane] = all[lane].word[0];
    const int lanes = 128 / bytes, first = threadIdx.x % 32 / lanes * lanes;
    if ((int)threadIdx.x % 32 == first)
        count_conflicts(address + first, lanes, bytes);
    memcpy(word, in_shared(from, bytes), bytes);
}

static void host_matrices(unsigned (&word)[4], unsigned row, bool turned)
{
    const Words *all = together({{row}});
    const int lane = threadIdx.x % 32;
    for (int i = 0; i < 4; i++) {
        unsigned address[8];
        for (int r = 0; r < 8; r++)
            address[r] = all[i * 8 + r].word[0], in_shared(address[r], 16);
        if (lane == 0)
            count_conflicts(address, 8, 16);
        uint16_t half[2];
        for (int e = 0; e < 2; e++)
            memcpy(&half[e], turned ? shared + address[lane % 4 * 2 + e] + lane / 4 * 2 : shared + address[lane / 4] + lane % 4 * 4 + e * 2, 2);
        word[i] = half[0] | (unsigned)half[1] << 16;
    }
}

static unsigned host_tf32(unsigned x) { return (x + 0x1000) & ~0x1fffu; }

enum Kind { bf16, fp16, fp32, tf32, tf32x3, int8, int32, fp8e4m3, fp8e5m2 };

static float small_float(unsigned bits, int mantissa, int bias)
{
    const int exponent = (bits & 0x7f) >> mantissa, fraction = bits & ((1 << mantissa) - 1);
    if (mantissa == 3 ? (bits & 0x7f) == 0x7f : exponent == 31)
        return NAN;
    const float size = exponent ? ldexpf(1 + ldexpf(fraction, -mantissa), exponent - bias) : ldexpf(fraction, 1 - bias - mantissa);
    return bits & 0x80 ? -size : size;
}

static float half_value(unsigned bits)
{
    _Float16 x;
    const uint16_t low = bits;
    memcpy(&x, &low, 2);
    return x;
}

// Element e of the 16 bytes that four lanes hold a word each of.
static float element(const unsigned (&word)[4], int e, Kind kind)
{
    const auto *bytes = (const unsigned char *)word;
    switch (kind) {
    case bf16: return __uint_as_float((unsigned)((const uint16_t *)word)[e] << 16);
    case fp16: return half_value(((const uint16_t *)word)[e]);
    case int8: return (signed char)bytes[e];
    case fp8e4m3: return small_float(bytes[e], 3, 7);
    case fp8e5m2: return small_float(bytes[e], 2, 15);
    default:
        if (word[e] & 0x1fff)
            fail("an operand is not rounded to tf32");
        return __uint_as_float(word[e]);
    }
}

// PTX ISA, mma.m16n8k16 and its kin: lane 4 g + t holds bytes 4 t to 4 t + 3 of each 16 of rows g and g + 8 of A and of
// column g of B; and columns 2 t and 2 t + 1 of those rows of the sums.
template <class T>
static void host_multiply(T (&sum)[4], const unsigned (&left)[4], const unsigned (&right)[2], Kind kind)
{
    const Words *all = together({{left[0], left[1], left[2], left[3], right[0], right[1]}});
    const int lane = threadIdx.x % 32, elements = kind == bf16 || kind == fp16 ? 8 : kind == tf32 || kind == tf32x3 ? 4 : 16;
    for (int out = 0; out < 4; out++) {
        double total = 0;
        for (int half = 0; half < 2; half++) {
            unsigned a[4], b[4];
            for (int t = 0; t < 4; t++) {
                a[t] = all[lane / 4 * 4 + t].word[half * 2 + out / 2];
                b[t] = all[(lane % 4 * 2 + out % 2) * 4 + t].word[4 + half];
            }
            for (int e = 0; e < elements; e++)
                total += (double)element(a, e, kind) * element(b, e, kind);
        }
        sum[out] = (T)(sum[out] + total);
    }
}

static unsigned nearest8(float x, int mantissa, int bias, float most)
{
    unsigned best = 0;
    x = x > most ? most : x < -most ? -most : x;
    for (unsigned bits = 0; bits < 256; bits++) {
        const float off = fabsf(small_float(bits, mantissa, bias) - x), least = fabsf(small_float(best, mantissa, bias) - x);
        if (off < least || (off == least && bits % 2 == 0))
            best = bits;
    }
    return best;
}

static unsigned bits_of(float x, Kind kind)
{
    unsigned word = __float_as_uint(x);
    if (kind == bf16)
        return (word + 0x7fff + (word >> 16 & 1)) >> 16;
    if (kind == fp16) {
        const _Float16 half = x;
        uint16_t low;
        memcpy(&low, &half, 2);
        return low;
    }
    return kind == fp8e4m3 ? nearest8(x, 3, 7, 448) : nearest8(x, 2, 15, 57344);
}

static unsigned host_pack(float low, float high, Kind kind)
{
    return bits_of(low, kind) | bits_of(high, kind) << (kind == bf16 || kind == fp16 ? 16 : 8);
}

static void host_unpack(unsigned &low, unsigned &high, unsigned bytes, Kind kind)
{
    const unsigned word[4] = {bytes};
    low = host_pack(element(word, 0, kind), element(word, 1, kind), fp16);
    high = host_pack(element(word, 2, kind), element(word, 3, kind), fp16);
}

static std::function<void()> kernel;

static void fiber_main()
{
    kernel();
    fibers[threadIdx.x].done = true;
    swapcontext(&fibers[threadIdx.x].context, &scheduler);
}

static void run_block(int threads)
{
    memset(shared, 0xff, sizeof shared);
    everyone = {};
    warps.assign(threads / 32, {});
    fibers.resize(threads);
    for (auto &words : said)
        words.resize(threads);
    for (Fiber &fiber : fibers) {
        fiber.stack.resize(1 << 17);
        fiber.groups.clear(), fiber.open.clear();
        fiber.calls = 0, fiber.done = false;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.data(), fiber.context.uc_stack.ss_size = fiber.stack.size();
        makecontext(&fiber.context, fiber_main, 0);
    }
    std::vector<int> behind(threads / 32);  // rounds that a warp rests
    int left = threads;
    for (long round = 0; left; round++) {
        if (round > 20000000)
            fail("threads wait for ever");
        const int warp = draw() % (threads / 32), start = draw() % 32;
        if (behind[warp] > 0 && --behind[warp])
            continue;
        if (draw() % 64 == 0)
            behind[warp] = draw() % 256;
        for (int i = 0; i < 32; i++) {
            const unsigned thread = warp * 32 + (start + i) % 32;
            if (fibers[thread].done)
                continue;
            threadIdx.x = thread;
            swapcontext(&scheduler, &fibers[thread].context);
            left -= fibers[thread].done;
        }
    }
}

static void run_grid(Index grid, int threads, int smem, unsigned seed, std::function<void()> body)
{
    smem_bytes = smem, state = seed, gridDim = grid, kernel = body;
    for (blockIdx.z = 0; blockIdx.z < grid.z; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < grid.y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x++)
                run_block(threads);
}
