using PureQLora.Training;

namespace PureQLora.Tools.Inspect;

/// <summary>Memory of a pass over rows of token ids: refused before it begins where the device has no room.</summary>
internal static class RowsMemory
{
    /// <summary>Refuses rows that the device has no room for, and prints what they take.</summary>
    /// <param name="device">Computes.</param>
    /// <param name="rows">Rows of the file.</param>
    /// <param name="length">Tokens of each.</param>
    /// <param name="plan">Plans a number of rows of some length; not called for the processor.</param>
    /// <exception cref="PureQLora.Core.UserErrorException">There is not enough memory.</exception>
    public static void Require(DeviceChoice device, int rows, int length, Func<MemoryPlanner, int, int, MemoryPlan> plan) => device.Require(
        planner => plan(planner, rows, length),
        [
            .. PlanRefusal.Halves(rows, 1).Select(fewer => ($"rows of --token-ids={fewer}", (Func<MemoryPlanner, MemoryPlan>)(planner => plan(planner, fewer, length)))),
            .. PlanRefusal.Halves(length, 1).Select(shorter => ($"tokens of each row={shorter}", (Func<MemoryPlanner, MemoryPlan>)(planner => plan(planner, rows, shorter)))),
        ],
        "neither fewer nor shorter rows in --token-ids would do; take a smaller or quantised model, or use --device cpu");
}
