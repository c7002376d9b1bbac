using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace PureQLora.Tools.Bench;

/// <summary>How fast all threads together read memory that no cache holds: the bound of decoding.</summary>
internal static unsafe partial class ReadBandwidth
{
    private const int HugePage = 2 << 20;
    private const int AdviseHugePages = 14;

    /// <summary>Bytes a second, the best of some passes over a block.</summary>
    /// <param name="threads">Threads at once, each on its own part.</param>
    /// <param name="bytes">Length of the block, far more than caches hold.</param>
    /// <param name="passes">Passes over the whole.</param>
    public static double Measure(int threads, long bytes, int passes)
    {
        byte* block = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, HugePage);
        try
        {
            AdviseLargePages(block, bytes);
            return Measure(block, bytes, threads, passes);
        }
        finally
        {
            NativeMemory.AlignedFree(block);
        }
    }

    private static double Measure(byte* block, long bytes, int threads, int passes)
    {
        long part = bytes / threads / 512 * 512;
        double best = 0;
        long began = 0;
        using Barrier barrier = new(threads, _ =>
        {
            long now = Stopwatch.GetTimestamp();
            best = began == 0 ? 0 : Math.Max(best, part * threads / Stopwatch.GetElapsedTime(began, now).TotalSeconds);
            began = now;
        });
        Thread[] workers = new Thread[threads];
        for (int i = 0; i < workers.Length; i++)
        {
            byte* mine = block + (i * part);
            workers[i] = new Thread(() =>
            {
                // Every page gets contents: untouched ones would all be one page of zeros.
                new Span<byte>(mine, (int)part).Fill(0x5A);
                for (int pass = 0; pass <= passes; pass++)
                {
                    barrier.SignalAndWait();
                    GC.KeepAlive(pass < passes ? Read(mine, part) : 0);
                }
            });
            workers[i].Start();
        }

        foreach (Thread worker in workers)
        {
            worker.Join();
        }

        return best;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ulong Read(byte* from, long bytes)
    {
        ulong* p = (ulong*)from;
        ulong* end = p + (bytes / sizeof(ulong));
        Vector512<ulong> a = default, b = default, c = default, d = default;
        for (; p < end; p += 4 * Vector512<ulong>.Count)
        {
            a ^= Vector512.Load(p);
            b ^= Vector512.Load(p + 8);
            c ^= Vector512.Load(p + 16);
            d ^= Vector512.Load(p + 24);
        }

        return Vector512.Sum(a ^ b ^ c ^ d);
    }

    // With small pages the translation of addresses is measured along; weights lie in large ones where the system has them.
    private static void AdviseLargePages(byte* block, long bytes)
    {
        if (OperatingSystem.IsLinux())
        {
            _ = MemoryAdvise(block, (nuint)bytes, AdviseHugePages);
        }
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int MemoryAdvise(void* address, nuint length, int advice);
}
