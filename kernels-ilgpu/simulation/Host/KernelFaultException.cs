using System.Diagnostics.CodeAnalysis;

namespace PureQLora.Kernels.Simulation;

/// <summary>A launch was faulty. Its results are in the buffers all the same.</summary>
[SuppressMessage("Design", "CA1032", Justification = "Made by a launch only, from faults.")]
public sealed class KernelFaultException : Exception
{
    internal KernelFaultException(IReadOnlyList<KernelFault> faults, LaunchReport report)
        : base(string.Join(Environment.NewLine, faults)) => (Faults, Report) = (faults, report);

    /// <summary>All faults, in the order in which they were found; at most <see cref="SimulationOptions.MaxFaults"/>.</summary>
    public IReadOnlyList<KernelFault> Faults { get; }

    /// <summary>What was counted.</summary>
    public LaunchReport Report { get; }
}
