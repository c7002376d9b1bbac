using System.Text;
using ILGPU;
using PureQLora.Kernels.Simulation.Engine;

namespace PureQLora.Kernels.Simulation;

/// <summary>What a launch did to memory, and how often its threads met.</summary>
public sealed class LaunchReport
{
    internal LaunchReport(Launch launch, long sharedBytes, string? obstacle)
    {
        (Kernel, GridDim, GroupDim, SharedBytes) = (launch.Kernel, launch.Config.GridDim, launch.Config.GroupDim, sharedBytes);
        (GlobalAtomics, SharedAtomics) = (launch.Counters.GlobalAtomics, launch.Counters.SharedAtomics);
        (GroupBarriers, WarpBarriers, Shuffles) = (launch.Counters.GroupBarriers, launch.Counters.WarpBarriers, launch.Counters.Shuffles);
        WhySystemThreads = GroupBarriers + WarpBarriers + Shuffles > 0 ? obstacle : null;
        Sites =
        [
            .. launch.Counters.Sites
                .Select(entry => new SiteCounters(
                    launch.Sites.FileName(entry.Key.Site), launch.Sites.Line(entry.Key.Site), entry.Key.Space, entry.Key.IsStore, entry.Value))
                .OrderBy(site => site.File, StringComparer.Ordinal).ThenBy(site => site.Line).ThenBy(site => site.Space).ThenBy(site => site.IsStore),
        ];
        GlobalLoads = Sum(MemorySpace.Global, isStore: false);
        GlobalStores = Sum(MemorySpace.Global, isStore: true);
        SharedLoads = Sum(MemorySpace.Shared, isStore: false);
        SharedStores = Sum(MemorySpace.Shared, isStore: true);
    }

    /// <summary>The kernel.</summary>
    public string Kernel { get; }

    /// <summary>Groups.</summary>
    public Index3D GridDim { get; }

    /// <summary>Threads of a group.</summary>
    public Index3D GroupDim { get; }

    /// <summary>Shared memory of a group, static and dynamic.</summary>
    public long SharedBytes { get; }

    /// <summary>Reads of global memory.</summary>
    public AccessCounters GlobalLoads { get; }

    /// <summary>Writes of global memory.</summary>
    public AccessCounters GlobalStores { get; }

    /// <summary>Reads of shared memory.</summary>
    public AccessCounters SharedLoads { get; }

    /// <summary>Writes of shared memory.</summary>
    public AccessCounters SharedStores { get; }

    /// <summary>Rounds that the banks of shared memory lose because lanes want different words of the same bank.</summary>
    public long BankConflicts => SharedLoads.Excess + SharedStores.Excess;

    /// <summary>Atomic operations on global memory, counted by thread.</summary>
    public long GlobalAtomics { get; }

    /// <summary>Atomic operations on shared memory, counted by thread.</summary>
    public long SharedAtomics { get; }

    /// <summary>Barriers, counted by group.</summary>
    public long GroupBarriers { get; }

    /// <summary>Warp barriers, counted by warp.</summary>
    public long WarpBarriers { get; }

    /// <summary>Shuffles, counted by warp.</summary>
    public long Shuffles { get; }

    /// <summary>The accesses by line of the source.</summary>
    public IReadOnlyList<SiteCounters> Sites { get; }

    /// <summary>
    /// Why the kernel, which waits, was not compiled to a coroutine but ran on threads of the system, far more slowly; null if it was, or
    /// if it never waits.
    /// </summary>
    public string? WhySystemThreads { get; }

    /// <summary>A table of everything.</summary>
    public override string ToString()
    {
        StringBuilder text = new();
        text.AppendLine(Invariant($"{Kernel}: {GridDim} groups of {GroupDim} threads, {SharedBytes} bytes of shared memory"));
        text.AppendLine(Invariant($"barriers {GroupBarriers}, warp barriers {WarpBarriers}, shuffles {Shuffles}, atomics {GlobalAtomics} global, {SharedAtomics} shared"));
        text.AppendLine(Invariant($"{"",-40} {"requests",10} {"transactions",13} {"ideal",10}"));
        AppendRow(text, "global loads", GlobalLoads);
        AppendRow(text, "global stores", GlobalStores);
        AppendRow(text, "shared loads", SharedLoads);
        AppendRow(text, "shared stores", SharedStores);
        foreach (SiteCounters site in Sites)
        {
            AppendRow(text, Invariant($"  {site.File}:{site.Line} {(site.Space == MemorySpace.Global ? "global" : "shared")} {(site.IsStore ? "store" : "load")}"), site.Counters);
        }

        return text.ToString();
    }

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);

    private static void AppendRow(StringBuilder text, string name, AccessCounters counters) =>
        text.AppendLine(Invariant($"{name,-40} {counters.Requests,10} {counters.Transactions,13} {counters.Ideal,10}"));

    private AccessCounters Sum(MemorySpace space, bool isStore)
    {
        AccessCounters sum = default;
        foreach (SiteCounters site in Sites)
        {
            sum += site.Space == space && site.IsStore == isStore ? site.Counters : default;
        }

        return sum;
    }
}
