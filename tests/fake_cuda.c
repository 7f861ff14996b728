/* A CUDA driver that runs nothing: it notes what it is asked for, with the argument widths of cuda.h. */
#include <stddef.h>
#include <string.h>

typedef struct {
    void *function, *stream, *context;
    unsigned grid[3], block[3], shared;
    unsigned long long parameters[8];
} Launch;

enum { LAUNCHES = 4096, ZEROED = 256 };
static Launch launches[LAUNCHES];
static int launched, zeroed, relaxed;
static struct { unsigned long long address, size; void *stream; } zeros[ZEROED];
static __thread void *current;
static unsigned long long capture;
static int parameter_count, fail;

/* What a test sets and reads. */
void fake_reset(int parameters) { launched = zeroed = relaxed = 0; parameter_count = parameters; capture = 0; fail = 0; }
void fake_capture(unsigned long long id) { capture = id; }
void fake_fail(int status) { fail = status; }
int fake_launched(void) { return launched; }
Launch *fake_launch(int n) { return &launches[n % LAUNCHES]; }
int fake_zeroed(void) { return zeroed; }
unsigned long long fake_zero(int n) { return zeros[n].address; }
void fake_enter(void *context) { current = context; }
void *fake_current(void) { return current; }

int cuInit(unsigned flags) { return (int)flags; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = (void *)(0x7f0000000100ULL + (unsigned)device); return 0; }
int cuCtxGetCurrent(void **context) { *context = current; return 0; }
static __thread void *below[8];
static __thread int depth;
int cuCtxPushCurrent_v2(void *context) { below[depth++] = current; current = context; return 0; }
int cuCtxPopCurrent_v2(void **context) { *context = current; current = below[--depth]; return 0; }
int cuThreadExchangeStreamCaptureMode(int *mode) { int old = relaxed; relaxed = *mode; *mode = old; return 0; }
int cuModuleLoadData(void **module, const void *image) { *module = (void *)0x7f0000000200ULL; return memcmp(image, "cubin", 5) ? 209 : 0; }
int cuModuleGetFunction(void **function, void *module, const char *name)
{
    *function = (void *)(0x7f0000000300ULL + strlen(name));
    return module ? 0 : 1;
}
int cuFuncSetAttribute(void *function, int attribute, int value) { return function && attribute == 8 && value > 49152 ? 0 : 1; }
int cuStreamGetCaptureInfo_v2(void *stream, int *status, unsigned long long *id, void **graph, void **nodes, size_t *count)
{
    *status = capture != 0;
    *id = capture;
    return stream && !graph && !nodes && !count ? 0 : 1;
}
int cuStreamGetId(void *stream, unsigned long long *id) { *id = (unsigned long long)stream + 7; return 0; }
int cuMemsetD8Async(unsigned long long address, unsigned char value, size_t size, void *stream)
{
    zeros[zeroed % ZEROED].address = address;
    zeros[zeroed % ZEROED].size = size;
    zeros[zeroed++ % ZEROED].stream = stream;
    return value;
}
int cuGetErrorName(int status, const char **name) { *name = status == 209 ? "CUDA_ERROR_NO_BINARY_FOR_GPU" : "CUDA_ERROR_FAKED"; return 0; }
int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *stream, void **parameters, void **extra)
{
    Launch *l = &launches[launched++ % LAUNCHES];
    const Launch made = {function, stream, current, {gx, gy, gz}, {bx, by, bz}, shared, {0}};
    *l = made;
    for (int i = 0; i < parameter_count; i++) memcpy(&l->parameters[i], parameters[i], 8);
    return extra ? 1 : fail;
}
