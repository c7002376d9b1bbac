namespace PureQLora.Core;

/// <summary>Kernels of one family, each assembled when it is first asked for and kept for the life of the process.</summary>
/// <param name="count">Number of kernels.</param>
/// <param name="generate">Code of a kernel by its index.</param>
internal sealed class KernelTable(int count, Func<int, byte[]> generate)
{
    private readonly nint[] _entries = new nint[count];
    private readonly List<ExecutableMemory> _pages = [];

    /// <summary>First instruction of a kernel.</summary>
    public nint this[int index]
    {
        get
        {
            nint entry = Volatile.Read(ref _entries[index]);
            return entry != 0 ? entry : Add(index);
        }
    }

    private nint Add(int index)
    {
        lock (_pages)
        {
            if (_entries[index] == 0)
            {
                ExecutableMemory pages = new(generate(index));
                _pages.Add(pages);
                Volatile.Write(ref _entries[index], pages.Entry);
            }

            return _entries[index];
        }
    }
}
