// Runs the kernel that stands before: cluster by cluster, fiber by fiber. GIVEN are its arguments.
static void __syncthreads() { meet(me->block->all, THREADS); }
static Job body;
static void start() { body(); me->done = true; progress++; while (true) yield(); }
static void run_cluster(int first, int count, int smem_bytes)
{
    blocks.assign(count, {});
    fibers.assign(count * THREADS, {});
    later.clear();
    of_cluster = {};
    cluster_threads = count * THREADS;
    for (int b = 0; b < count; b++) {
        blocks[b].index = first + b;
        blocks[b].memory.assign(BASE + smem_bytes, 0xff);  // NaN of all types
        for (int t = 0; t < THREADS; t++) {
            Fiber &fiber = fibers[b * THREADS + t];
            fiber.block = &blocks[b], fiber.tid = t, fiber.done = false;
            fiber.stack.resize(48 << 10);
            getcontext(&fiber.context);
            fiber.context.uc_stack.ss_sp = fiber.stack.data(), fiber.context.uc_stack.ss_size = fiber.stack.size();
            fiber.context.uc_link = nullptr;
            makecontext(&fiber.context, start, 0);
        }
    }
    for (bool running = true; running;) {
        const long long before = progress;
        running = false;
        for (auto &fiber : fibers)
            if (!fiber.done) {
                me = &fiber, threadIdx.x = fiber.tid, blockIdx.x = fiber.block->index;
                swapcontext(&scheduler, &fiber.context);
                running |= !fiber.done;
            }
        if (running && progress == before) {
            if (later.empty()) fail("a deadlock");
            later.front()();
            later.erase(later.begin());
        }
    }
}
extern "C" int run(WEIGHTS_TYPE weights, WEIGHTS_TYPE tokens, const unsigned char *w, long long w_bytes, const unsigned char *x, long long x_bytes,
                   out_t *c, Four *partials, int *arrivals, int grid, int smem_bytes, int is_lazy)
{
    operands = {{w, w_bytes}, {x, x_bytes}};
    lazy = is_lazy;
    body = [&] { gemm_skinny(GIVEN); };
    for (int block = 0; block < grid; block += CLUSTER)
        run_cluster(block, CLUSTER, smem_bytes);
    return 0;
}
