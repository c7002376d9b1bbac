namespace PureQLora.Core.Tests;

/// <summary>The memory that interpreted code may touch: ranges with a name; everything else is a failure.</summary>
internal sealed unsafe class InterpretedMemory
{
    private readonly List<(string Name, nint Start, nint End, bool Writable)> _ranges = [];

    /// <summary>Permits a range.</summary>
    public void Allow(string name, void* start, long bytes, bool writable = false) =>
        _ranges.Add((name, (nint)start, (nint)start + (nint)bytes, writable));

    /// <summary>Forbids everything again.</summary>
    public void Clear() => _ranges.Clear();

    /// <summary>The address, if all of the access is permitted.</summary>
    /// <exception cref="InvalidOperationException">It is not.</exception>
    public byte* At(ulong address, int bytes, bool write, string instruction)
    {
        nint start = (nint)address;
        foreach ((string _, nint first, nint end, bool writable) in _ranges)
        {
            if (start >= first && start + bytes <= end && (writable || !write))
            {
                return (byte*)start;
            }
        }

        IEnumerable<string> ranges = _ranges.Select(range => $"{range.Name} {range.Start:x} to {range.End:x}{(range.Writable ? ", writable" : "")}");
        throw new InvalidOperationException(
            $"'{instruction}' {(write ? "writes" : "reads")} {bytes} bytes at {start:x}, allowed: {string.Join("; ", ranges)}.");
    }
}
