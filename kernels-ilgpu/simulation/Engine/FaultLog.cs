namespace PureQLora.Kernels.Simulation.Engine;

/// <summary>The faults of a launch: each kind at each place once, with how often it happened.</summary>
internal sealed class FaultLog(int limit)
{
    private readonly Dictionary<(FaultKind Kind, int Site, int OtherSite, int Region), int> _indices = [];
    private readonly List<KernelFault> _faults = [];

    /// <summary>What was found.</summary>
    public IReadOnlyList<KernelFault> Faults => _faults;

    /// <summary>Adds a fault, unless it is known or there are too many.</summary>
    public void Add((FaultKind Kind, int Site, int OtherSite, int Region) key, Func<KernelFault> describe)
    {
        if (_indices.TryGetValue(key, out int index))
        {
            _faults[index] = _faults[index] with { Occurrences = _faults[index].Occurrences + 1 };
        }
        else if (_faults.Count < limit)
        {
            _indices.Add(key, _faults.Count);
            _faults.Add(describe());
        }
    }
}
