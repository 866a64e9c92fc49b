// Runs CUDA kernels on a CPU, to find their mistakes: the text of a gpu.cu is compiled by g++ behind this header.
//
// Blocks run one after another, and the threads of a block one after another up to the next __syncthreads(), in an order
// that the caller chooses. Each thread that waits has a stack of its own (a fiber). A kernel that is right gives the same
// bits in every order; one with a race or a missing barrier does not. Before every block all shared memory is filled with
// NaN. Wild pointers, divisions by zero, indices outside of declared arrays, and barriers that not all threads reach are
// reported with thread, block and line.
#pragma once
#include <csetjmp>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <math.h>
#include <type_traits>
#include <ucontext.h>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static  // in .bss, where nothing else of ours may lie: see POISONED

struct uint3 { unsigned x, y, z; };
struct alignas(16) float4 { float x, y, z, w; };

namespace on_cpu {

enum class State : char { Fresh, Ready, AtBarrier, InProduct, Done };
struct Fiber { ucontext_t start; jmp_buf at; };
struct Thread { State state; int line; Fiber* fiber; uint3 index; };

struct Everything {
    uint3 thread, block, block_size, grid_size;   // what the kernel sees as threadIdx, blockIdx, blockDim, gridDim
    std::vector<Thread>* threads;
    std::vector<int>* order;                      // in which threads take their turns
    std::vector<Fiber*>* idle;                    // fibers whose thread has ended
    Fiber* fiber;                                 // the one that runs
    int current, next_fresh;
    jmp_buf scheduler;
    void (*call)(void*); void* arguments;
    char* dynamic; size_t dynamic_size;           // extern __shared__ memory
    char error[400];
};
static Everything G __attribute__((section(".data"))) = {};
extern "C" char __bss_start[] __attribute__((visibility("hidden")));
extern "C" char _end[] __attribute__((visibility("hidden")));
constexpr int STACK = 256 << 10, DYNAMIC_GUARD = 4096, POISONED = 0xff;  // bytes 0xff are a NaN in float and double

static void fail(const char* format, ...)
{
    va_list rest;
    va_start(rest, format);
    if (!G.error[0]) vsnprintf(G.error, sizeof G.error, format, rest);
    va_end(rest);
}

[[noreturn]] static void end_launch() { _longjmp(G.scheduler, 2); }

static void on_signal(int number)
{
    fail("%s in thread (%u,%u,%u) of block (%u,%u,%u)", number == SIGFPE ? "integer division by zero" : "wild pointer",
         G.thread.x, G.thread.y, G.thread.z, G.block.x, G.block.y, G.block.z);
    end_launch();
}

__attribute__((noinline)) static void to_scheduler()
{
    if (!_setjmp(G.fiber->at)) _longjmp(G.scheduler, 1);
}

__attribute__((noinline)) static void fiber_main()
{
    for (;;) {
        while (!G.error[0] && G.next_fresh < int(G.order->size())) {  // one thread after another, until one waits
            G.current = (*G.order)[G.next_fresh++];
            Thread& t = (*G.threads)[G.current];
            t.state = State::Ready, t.fiber = G.fiber, G.thread = t.index;
            G.call(G.arguments);
            (*G.threads)[G.current].state = State::Done;
        }
        G.idle->push_back(G.fiber);
        to_scheduler();
    }
}

__attribute__((noinline)) static void run(Fiber* fiber, bool fresh)
{
    G.fiber = fiber;
    if (_setjmp(G.scheduler) == 0) {
        if (fresh) setcontext(&fiber->start);
        else _longjmp(fiber->at, 1);
    }
}

static void start_threads()
{
    if (!G.idle->empty()) {
        Fiber* fiber = G.idle->back();
        G.idle->pop_back();
        return run(fiber, false);
    }
    Fiber* fiber = new Fiber;
    getcontext(&fiber->start);
    fiber->start.uc_stack.ss_sp = new char[STACK];
    fiber->start.uc_stack.ss_size = STACK;
    fiber->start.uc_link = nullptr;
    makecontext(&fiber->start, fiber_main, 0);
    run(fiber, true);
}

__attribute__((noinline)) static void barrier(int line)
{
    Thread& t = (*G.threads)[G.current];
    t.state = State::AtBarrier, t.line = line;
    to_scheduler();
    if (G.error[0]) end_launch();
}

static void open_barrier()  // when no thread can run
{
    int done = 0, line = 0;
    for (Thread& t : *G.threads) {
        if (t.state == State::Done) { ++done; continue; }
        if (t.state == State::InProduct) return fail("not all threads of a warp come to a matrix product");
        if (line && t.line != line) return fail("threads of one block wait at two barriers, in lines %d and %d", line, t.line);
        line = t.line;
    }
    if (done) return fail("line %d: %d threads of the block never reach the barrier", line, done);
    for (Thread& t : *G.threads) t.state = State::Ready;
}

// The matrix product of mma.cuh: threads wait for the other 31 of their warp, and the last one computes.
struct Factors { float* d; const float *a, *b; };
static Factors factors[1024] __attribute__((section(".data"))) = {};

static void product_of_warp(Factors* lanes)
{
    float A[16][8], B[8][8];
    for (int lane = 0; lane < 32; ++lane) {
        const int r = lane / 4, s = lane % 4;
        for (int k = 0; k < 4; ++k) A[r + k % 2 * 8][s + k / 2 * 4] = lanes[lane].a[k];
        for (int k = 0; k < 2; ++k) B[s + 4 * k][r] = lanes[lane].b[k];
    }
    for (int i = 0; i < 16; ++i)
        for (int j = 0; j < 8; ++j)
            for (int k = 0; k < 8; ++k) lanes[i % 8 * 4 + j / 2].d[i / 8 * 2 + j % 2] += A[i][k] * B[k][j];
}

static bool is_tf32(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return (bits & 0x1fff) == 0 || x != x;
}

__attribute__((noinline)) static void multiply(float* d, const float* a, const float* b)
{
    for (int k = 0; k < 4; ++k)
        if (!is_tf32(a[k]) || !is_tf32(b[k % 2])) { fail("a factor of a matrix product is not rounded to TF32"); end_launch(); }
    const int warp = G.current / 32 * 32;
    factors[G.current] = {d, a, b};
    (*G.threads)[G.current].state = State::InProduct;
    for (int k = warp; k < warp + 32; ++k)
        if ((*G.threads)[k].state != State::InProduct) {
            to_scheduler();
            if (G.error[0]) end_launch();
            return;
        }
    product_of_warp(factors + warp);
    for (int k = warp; k < warp + 32; ++k) (*G.threads)[k].state = State::Ready;
}

static void run_block()
{
    auto& threads = *G.threads;
    for (Thread& t : threads) t.state = State::Fresh;
    G.next_fresh = 0;
    memset(__bss_start, POISONED, _end - __bss_start);
    if (G.dynamic) memset(G.dynamic, POISONED, G.dynamic_size + DYNAMIC_GUARD);
    for (;;) {
        while (G.next_fresh < int(threads.size()) && !G.error[0]) start_threads();
        bool ran = false, waiting = false;
        for (int k : *G.order) {
            if (threads[k].state == State::Ready && !G.error[0]) {
                G.current = k, G.thread = threads[k].index, ran = true;
                run(threads[k].fiber, false);
            }
            waiting |= threads[k].state != State::Done;
        }
        if (G.error[0]) { G.idle->clear(); return; }  // the fibers of a broken launch are left as they are
        if (!waiting) break;
        if (!ran) open_barrier();
    }
    for (int i = 0; G.dynamic && i < DYNAMIC_GUARD; ++i)
        if (G.dynamic[G.dynamic_size + i] != char(POISONED)) return fail("write past the end of dynamic shared memory");
}

template <class... P, size_t... I>
void call_with(void (*kernel)(P...), void** values, std::index_sequence<I...>)
{
    kernel(*(std::remove_const_t<P>*)values[I]...);
}

// Order 0: threads and blocks from first to last; 1: from last to first; others: shuffled by that seed.
template <class... P>
const char* launch(void (*kernel)(P...), const unsigned* grid, const unsigned* block, size_t dynamic_size, unsigned order,
                   void** values)
{
    struct Call { void (*kernel)(P...); void** values; } call{kernel, values};
    std::vector<Thread> threads(block[0] * block[1] * block[2]);
    std::vector<int> turns(threads.size());
    std::vector<char> dynamic(dynamic_size + DYNAMIC_GUARD);
    const int n = threads.size(), blocks = grid[0] * grid[1] * grid[2];
    for (int k = 0; k < n; ++k) {
        threads[k].index = {k % block[0], k / block[0] % block[1], k / block[0] / block[1]};
        turns[k] = order == 1 ? n - 1 - k : k;
    }
    if (!G.idle) G.idle = new std::vector<Fiber*>;
    G.threads = &threads, G.order = &turns, G.arguments = &call;
    G.call = [](void* p) { call_with(((Call*)p)->kernel, ((Call*)p)->values, std::index_sequence_for<P...>{}); };
    G.block_size = {block[0], block[1], block[2]}, G.grid_size = {grid[0], grid[1], grid[2]};
    G.dynamic = dynamic_size ? dynamic.data() : nullptr, G.dynamic_size = dynamic_size, G.error[0] = 0;

    const int signals[] = {SIGSEGV, SIGBUS, SIGFPE};
    struct sigaction ours = {}, theirs[3];
    ours.sa_handler = on_signal, ours.sa_flags = SA_NODEFER;
    for (int i = 0; i < 3; ++i) sigaction(signals[i], &ours, &theirs[i]);
    unsigned random = order;
    for (int i = 0; i < blocks && !G.error[0]; ++i) {
        const unsigned b = order == 1 ? blocks - 1 - i : i;
        G.block = {b % grid[0], b / grid[0] % grid[1], b / grid[0] / grid[1]};
        for (int k = n - 1; order > 1 && k > 0; --k) {
            random = random * 1664525u + 1013904223u;
            std::swap(turns[k], turns[(random >> 8) % (k + 1)]);
        }
        run_block();
    }
    for (int i = 0; i < 3; ++i) sigaction(signals[i], &theirs[i], nullptr);
    return G.error[0] ? G.error : nullptr;
}

// What a parameter is, in three letters: * or - for pointer or value, c or - for const or not what it points to, and the
// kind of number (f float, i signed, u unsigned, b bool) with its size.
template <class P>
void describe(char*& text)
{
    using Value = std::remove_pointer_t<P>;
    using Number = std::remove_cv_t<Value>;
    const char kind = std::is_floating_point_v<Number> ? 'f' : std::is_same_v<Number, bool> ? 'b' : std::is_signed_v<Number> ? 'i' : 'u';
    text += sprintf(text, "%c%c%c%d ", std::is_pointer_v<P> ? '*' : '-', std::is_const_v<Value> ? 'c' : '-', kind, int(sizeof(Number)));
}

template <class... P>
const char* signature(void (*)(P...))
{
    static char text[1000] __attribute__((section(".data"))) = {1};
    char* end = text;
    (describe<P>(end), ...);
    *end = 0;
    return text;
}

}  // namespace on_cpu

// g++ -fsanitize=bounds calls this when an index leaves the declared extent of an array, such as a shared tile.
extern "C" __attribute__((weak)) void __ubsan_handle_out_of_bounds(void* where, void* index)
{
    struct Where { const char* file; unsigned line; };
    const unsigned line = ((Where*)where)->line;
    on_cpu::fail("line %u: index %lld is outside of the array", line, (long long)(intptr_t)index);
    on_cpu::end_launch();
}

#define threadIdx (on_cpu::G.thread)
#define blockIdx (on_cpu::G.block)
#define blockDim (on_cpu::G.block_size)
#define gridDim (on_cpu::G.grid_size)
#define __syncthreads() on_cpu::barrier(__LINE__)

template <class A, class B> std::common_type_t<A, B> min(A a, B b) { return a < b ? a : b; }
template <class A, class B> std::common_type_t<A, B> max(A a, B b) { return a > b ? a : b; }
constexpr bool HAS_TF32 = true;
inline void multiply_tf32(float* d, const float* a, const float* b) { on_cpu::multiply(d, a, b); }
inline float to_tf32(float x)  // to the nearest; ties away from 0
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if (isfinite(x)) bits = (bits + 0x1000) & ~0x1fffu;
    memcpy(&x, &bits, 4);
    return x;
}
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline double rsqrt(double x) { return 1 / sqrt(x); }

#define EXPORT_KERNEL(i, ...)                                                                                         \
    extern "C" const char* launch_##i(const unsigned* g, const unsigned* b, size_t shared, unsigned order, void** v) \
    {                                                                                                                 \
        return on_cpu::launch(__VA_ARGS__, g, b, shared, order, v);                                                   \
    }                                                                                                                 \
    extern "C" const char* signature_##i() { return on_cpu::signature(__VA_ARGS__); }
