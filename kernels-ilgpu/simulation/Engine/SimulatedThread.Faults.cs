using PureQLora.Kernels.Simulation.Memory;

namespace PureQLora.Kernels.Simulation.Engine;

/// <content>How a thread says what is wrong.</content>
internal sealed partial class SimulatedThread
{
    /// <summary>An index or a view leaves its memory.</summary>
    public void ReportBounds(MemoryRegion? region, string what, string file, int line) => ReportBounds(region, what, Site(file, line));

    /// <summary>The kernel threw.</summary>
    public void ReportException(Exception exception) =>
        Add(FaultKind.Exception, region: null, offset: null, site: -1, otherSite: -1, $"throws {exception.GetType().Name}: {exception.Message}");

    /// <summary>The threads that should meet never will.</summary>
    public void ReportDivergence(FaultKind kind, string who) =>
        Add(kind, region: null, offset: null, WaitSite, otherSite: -1, $"waits at {WaitsAt} for ever, with {who}");

    private static string Verb(AccessKind kind) => kind switch
    {
        AccessKind.Read => "reads",
        AccessKind.Atomic => "updates atomically",
        AccessKind.PendingCopy => "starts an asynchronous copy to",
        _ => "writes",
    };

    private static string PastTense(AccessKind kind) => kind switch
    {
        AccessKind.Read => "read",
        AccessKind.Atomic => "updated atomically",
        _ => "wrote",
    };

    private void ReportBounds(MemoryRegion? region, string what, int site) =>
        Add(FaultKind.OutOfBounds, region, offset: null, site, otherSite: -1, region is null ? what : $"{what} of {region.Name} ({region.ByteLength} bytes)");

    private void ReportMisaligned(MemoryRegion region, long offset, int alignment, string what, int site) =>
        Add(FaultKind.Misaligned, region, offset, site, otherSite: -1, $"{what} at byte {offset} of {region.Name}, which is no multiple of {alignment}");

    private void Report(MemoryRegion region, long offset, int size, AccessKind kind, int site, in Finding finding)
    {
        string what = $"{Verb(kind)} {size} bytes at byte {offset} of {region.Name}";
        if (finding.IsUnwritten)
        {
            string state = finding.IsPending ? "an asynchronous copy to which has not been waited for" : "which nobody has written";
            Add(FaultKind.Uninitialised, region, offset, site, otherSite: -1, $"{what}, {state}");
        }

        if (finding.Race.IsFound)
        {
            Launch launch = Group.Launch;
            Conflict other = finding.Race;
            string otherGroup = other.Serial == Group.Serial ? "" : $"group {launch.GroupIndex(other.Serial)} ";
            string otherThread = other.KnowsLane
                ? $"thread {launch.ThreadIndex(other.Thread)}"
                : $"a thread of warp {other.Thread / WarpRun.Size}";
            string missing = other.Serial == Group.Serial ? "without a barrier in between" : "and nothing orders groups";
            Add(FaultKind.Race, region, offset, site, other.Site,
                $"{what}, which {otherGroup}{otherThread} {PastTense(finding.RaceKind)} at {launch.Sites.Describe(other.Site)}, {missing}");
        }
    }

    private void Add(FaultKind kind, MemoryRegion? region, long? offset, int site, int otherSite, string what)
    {
        Launch launch = Group.Launch;
        string location = site < 0 ? "" : launch.Sites.Describe(site);
        int memory = region is null or { Space: MemorySpace.Local } ? 0 : region.Id; // every thread has local memory of its own
        launch.Faults.Add((kind, site, otherSite, memory), () => new KernelFault
        {
            Kind = kind,
            Kernel = launch.Kernel,
            Group = Group.Index,
            Thread = Index,
            Location = location,
            Memory = region?.Name,
            ByteOffset = offset,
            Message = $"{kind} in {launch.Kernel}{(site < 0 ? "" : $" at {location}")}: group {Group.Index} thread {Index} {what}",
        });
    }
}
