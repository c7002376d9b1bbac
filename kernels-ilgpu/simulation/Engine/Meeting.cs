using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace PureQLora.Kernels.Simulation.Engine;

/// <summary>Where all threads of a group or of a warp wait for each other, again and again, and may leave a value for the others.</summary>
internal sealed class Meeting(int memberCount)
{
    // Two, because a thread may come to the next meeting before another has read what was left at this one.
    private readonly byte[][] _values = [[], []];
    private readonly int[] _agreed = new int[2];
    private int _arrived;
    private MeetingKind _kind;
    private int _site;
    private bool _isMixed;

    /// <summary>Meetings that have taken place.</summary>
    public int Number { get; private set; }

    /// <summary>Starts anew.</summary>
    public void Reset() => (_arrived, Number) = (0, 0);

    /// <summary>A thread comes; true if all are there now, for the same thing at the same place.</summary>
    public bool Arrive(MeetingKind kind, int site, bool predicate)
    {
        if (_arrived == 0)
        {
            (_kind, _site, _isMixed) = (kind, site, false);
            _agreed[Number & 1] = 0;
        }

        _isMixed |= kind != _kind || site != _site;
        _agreed[Number & 1] += predicate ? 1 : 0;
        _arrived++;
        if (_arrived < memberCount || _isMixed)
        {
            return false;
        }

        _arrived = 0;
        Number++;
        return true;
    }

    /// <summary>How many threads came to a meeting with true.</summary>
    public int Agreed(int number) => _agreed[number & 1];

    /// <summary>Leaves a value for the coming meeting.</summary>
    public void Leave<T>(int member, T value)
        where T : unmanaged
    {
        ref byte[] values = ref _values[Number & 1];
        int size = Unsafe.SizeOf<T>();
        if (values.Length < memberCount * size)
        {
            // Pinned, for a coroutine keeps spans of it where the garbage collector does not look.
            byte[] larger = GC.AllocateUninitializedArray<byte>(memberCount * size, pinned: true);
            values.CopyTo(larger, 0);
            values = larger;
        }

        MemoryMarshal.Write(values.AsSpan(member * size), value);
    }

    /// <summary>What was left at a meeting.</summary>
    public ReadOnlySpan<T> Values<T>(int number)
        where T : unmanaged => MemoryMarshal.Cast<byte, T>(_values[number & 1].AsSpan(0, memberCount * Unsafe.SizeOf<T>()));
}
