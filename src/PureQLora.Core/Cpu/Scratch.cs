using System.Runtime.InteropServices;

namespace PureQLora.Core;

/// <summary>Working memory of one kernel call on one thread: a native block that the thread keeps and lends again.</summary>
internal unsafe ref struct Scratch
{
    [ThreadStatic]
    private static Lender? _lender;

    private readonly Lender _owner;
    private readonly int _slot;

    private Scratch(Lender owner, int slot, float* floats)
    {
        (_owner, _slot) = (owner, slot);
        Floats = floats;
    }

    /// <summary>64-byte aligned, contents undefined; null for a length of 0.</summary>
    public float* Floats { get; }

    /// <summary>Borrows memory until disposal; nested loans are given back in reverse.</summary>
    /// <param name="floats">Number of 4-byte elements.</param>
    public static Scratch Rent(long floats)
    {
        Lender lender = _lender ??= new Lender();
        return new Scratch(lender, lender.Depth, lender.Take(floats));
    }

    /// <summary>Gives the memory back.</summary>
    public readonly void Dispose() => _owner.Depth = _slot;

    /// <summary>Blocks of one thread, one a nesting level, each as large as the largest loan so far.</summary>
    private sealed class Lender
    {
        private readonly List<(nint Pointer, long Floats)> _blocks = [];

        ~Lender()
        {
            foreach ((nint pointer, _) in _blocks)
            {
                NativeMemory.AlignedFree((void*)pointer);
            }
        }

        public int Depth { get; set; }

        public float* Take(long floats)
        {
            if (Depth == _blocks.Count)
            {
                _blocks.Add((0, 0));
            }

            (nint pointer, long held) = _blocks[Depth];
            if (held < floats)
            {
                // Forgotten before it is freed: if the system has no more memory, nothing may free it again.
                _blocks[Depth] = (0, 0);
                NativeMemory.AlignedFree((void*)pointer);
                long size = Math.Max(1024, floats + (floats / 4));
                pointer = (nint)LargePages.Allocate(checked((nuint)((size * sizeof(float)) + CpuStorage.Alignment)));
                _blocks[Depth] = (pointer, size);
            }

            Depth++;
            return floats == 0 ? null : (float*)pointer;
        }
    }
}
