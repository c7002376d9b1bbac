using System.Globalization;
using System.Runtime.InteropServices;

namespace PureQLora.Tools.Bench;

/// <summary>Moves the threads of this process between the processors that it was given, as <c>taskset</c> does; Linux only.</summary>
internal sealed unsafe partial class ProcessorAffinity : IDisposable
{
    private const int MaskBytes = 128;
    private const string Tasks = "/proc/self/task";

    private readonly byte[] _given = new byte[MaskBytes];
    private readonly int[] _processors;

    private ProcessorAffinity()
    {
        fixed (byte* mask = _given)
        {
            _processors = GetAffinity(0, MaskBytes, mask) == 0 ? [.. Enumerable.Range(0, 8 * MaskBytes).Where(i => (_given[i / 8] >> (i % 8) & 1) != 0)] : [];
        }
    }

    /// <summary>Processors that this process may use.</summary>
    public int Processors => _processors.Length;

    /// <summary>Reads what the process was given; null, with a sentence, where threads cannot be moved.</summary>
    public static ProcessorAffinity? TryOpen(out string obstacle)
    {
        obstacle = "Affinity is left alone: it is changed on Linux only.";
        if (!OperatingSystem.IsLinux())
        {
            return null;
        }

        ProcessorAffinity affinity = new();
        obstacle = $"Affinity is left alone: the process has {affinity.Processors} processor, and a change needs two.";
        return affinity.Processors > 1 ? affinity : null;
    }

    /// <summary>
    /// Gives all threads all processors, or the same few, or each thread some of its own, or only one thread others. Were it always the
    /// same few for all, most processors would idle most of the time.
    /// </summary>
    public void Change(Random random)
    {
        int[] threads = Threads();
        switch (random.Next(4))
        {
            case 0:
                Set(threads, _given);
                break;
            case 1:
                Set(threads, Mask(random));
                break;
            case 2:
                foreach (int thread in threads)
                {
                    Set([thread], Mask(random));
                }

                break;
            default:
                Set([threads[random.Next(threads.Length)]], Mask(random));
                break;
        }
    }

    /// <summary>Gives every thread back what it had.</summary>
    public void Dispose()
    {
        // Twice: a thread that started in between has what its creator had before.
        Set(Threads(), _given);
        Set(Threads(), _given);
    }

    private byte[] Mask(Random random)
    {
        byte[] mask = new byte[MaskBytes];
        for (int count = random.Next(1, _processors.Length + 1); count > 0; count--)
        {
            int processor = _processors[random.Next(_processors.Length)];
            mask[processor / 8] |= (byte)(1 << (processor % 8));
        }

        return mask;
    }

    private static int[] Threads() =>
        [.. Directory.EnumerateDirectories(Tasks).Select(path => int.Parse(Path.GetFileName(path), NumberStyles.None, CultureInfo.InvariantCulture))];

    /// <summary>Threads that have ended meanwhile are none of its business, so failures are ignored.</summary>
    private static void Set(int[] threads, byte[] mask)
    {
        fixed (byte* bits = mask)
        {
            foreach (int thread in threads)
            {
                _ = SetAffinity(thread, MaskBytes, bits);
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "sched_getaffinity")]
    private static partial int GetAffinity(int thread, nuint size, byte* mask);

    [LibraryImport("libc", EntryPoint = "sched_setaffinity")]
    private static partial int SetAffinity(int thread, nuint size, byte* mask);
}
