namespace PureQLora.Kernels.Simulation.Engine;

/// <summary>Says why the threads of a group wait for ever.</summary>
internal static class Divergence
{
    /// <summary>Reports it: of a warp whose lanes wait for each other, if there is one, else of the group.</summary>
    public static void Report(GroupRun group, ReadOnlySpan<SimulatedThread> threads)
    {
        SimulatedThread? lane = null;
        SimulatedThread? waiting = null;
        foreach (SimulatedThread thread in threads)
        {
            if (thread.State == ThreadState.Waiting)
            {
                waiting ??= thread;
                lane ??= thread.WaitsAt >= MeetingKind.WarpBarrier ? thread : null;
            }
        }

        SimulatedThread witness = lane ?? waiting!;
        ReadOnlySpan<SimulatedThread> expected = lane is null ? threads : threads.Slice(lane.Warp.Index * WarpRun.Size, lane.Warp.Lanes);
        FaultKind kind = witness.WaitsAt > MeetingKind.WarpBarrier ? FaultKind.DivergentShuffle : FaultKind.DivergentBarrier;
        witness.ReportDivergence(kind, Describe(group.Launch, expected));
    }

    /// <summary>threads (0, 0, 0) to (4, 0, 0) waiting at Barrier (Kernels.cs:12), threads (5, 0, 0) to (31, 0, 0) gone</summary>
    private static string Describe(Launch launch, ReadOnlySpan<SimulatedThread> threads)
    {
        List<string> parts = [];
        int first = 0;
        for (int i = 1; i <= threads.Length; i++)
        {
            if (i < threads.Length && Describe(launch, threads[i]) == Describe(launch, threads[first]))
            {
                continue;
            }

            string name = launch.ThreadIndex(threads[first].LinearIndex).ToString();
            string who = i - first == 1 ? $"thread {name}" : $"threads {name} to {launch.ThreadIndex(threads[i - 1].LinearIndex)}";
            parts.Add($"{who} {Describe(launch, threads[first])}");
            first = i;
            if (parts.Count == 8 && i < threads.Length)
            {
                parts.Add("and so on");
                break;
            }
        }

        return string.Join(", ", parts);
    }

    private static string Describe(Launch launch, SimulatedThread thread) => thread.State == ThreadState.Ended
        ? "gone"
        : $"waiting at {thread.WaitsAt} ({launch.Sites.Describe(thread.WaitSite)})";
}
