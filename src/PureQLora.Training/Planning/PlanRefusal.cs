using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>Refuses a plan that does not fit, and says which settings would make it fit.</summary>
public static class PlanRefusal
{
    private const string NoSetting = "no single setting would do (sequence length, batch, rank, bits); take a smaller model, or use --device cpu";

    /// <summary>Half a value, a quarter and so on: what to try for a setting.</summary>
    /// <param name="value">The setting.</param>
    /// <param name="least">None is below this; at least 1.</param>
    public static IEnumerable<int> Halves(int value, int least)
    {
        for (int half = value / 2; half >= least; half /= 2)
        {
            yield return half;
        }
    }

    /// <summary>Passes a plan that fits.</summary>
    /// <param name="planner">Knows what there is.</param>
    /// <param name="plan">The plan.</param>
    /// <param name="ways">
    /// Settings <c>key=value</c> with the plan that each of them alone would give; of several with the same key the first that fits is named.
    /// </param>
    /// <param name="otherwise">What to do where no setting would do, if that is not about settings of training.</param>
    /// <exception cref="UserErrorException">It does not fit.</exception>
    public static void Require(
        MemoryPlanner planner, MemoryPlan plan, IEnumerable<(string Setting, Func<MemoryPlan> Plan)> ways, string? otherwise = null)
    {
        ArgumentNullException.ThrowIfNull(planner);
        ArgumentNullException.ThrowIfNull(plan);
        if (planner.Fits(plan))
        {
            return;
        }

        string[] fitting =
        [
            .. ways.GroupBy(way => way.Setting[..way.Setting.IndexOf('=', StringComparison.Ordinal)])
                .Select(key => key.FirstOrDefault(way => planner.Fits(way.Plan()))).Where(way => way.Setting is not null).Select(way => way.Setting),
        ];
        string remedy = fitting.Length > 0
            ? $"each of these alone would do: {string.Join(", ", fitting)}"
            : otherwise ?? NoSetting;
        throw new UserErrorException(
            $"{plan.Work} needs {ByteSize.Text(plan.Total)} of the GPU's memory and {ByteSize.Text(planner.Available)} are free ({plan.Parts}); {remedy}.");
    }
}
