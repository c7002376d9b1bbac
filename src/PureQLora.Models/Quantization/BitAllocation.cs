namespace PureQLora.Models;

/// <summary>
/// Spends a budget of bits where they lower the predicted error most: from the smallest choice of every unit on, always the step with the
/// greatest fall of the error for each bit.
/// </summary>
/// <remarks>
/// Steps run along the lower convex hull of a unit's choices, so their gains fall and the greedy order is optimal for every size that it
/// passes through (Fox, "Discrete optimization via marginal analysis", Management Science 13, 1966); what is left of a budget goes to the
/// best steps that still fit.
/// </remarks>
public static class BitAllocation
{
    /// <summary>Chooses within a budget.</summary>
    /// <param name="units">What is to be quantised.</param>
    /// <param name="budget">Stored bits at most.</param>
    /// <returns>The choice of each unit, or null where not even the smallest choices fit.</returns>
    public static AllocationChoice[]? Choose(IReadOnlyList<AllocationUnit> units, long budget)
    {
        ArgumentNullException.ThrowIfNull(units);
        AllocationChoice[][] hulls = [.. units.Select(unit => Hull(unit.Choices))];
        int[] at = new int[hulls.Length];
        long bits = hulls.Sum(hull => hull[0].StoredBits);
        if (bits > budget)
        {
            return null;
        }

        foreach ((int unit, int step) in Steps(hulls))
        {
            long more = hulls[unit][step].StoredBits - hulls[unit][at[unit]].StoredBits;
            if (bits + more <= budget)
            {
                (at[unit], bits) = (step, bits + more);
            }
        }

        return [.. hulls.Select((hull, unit) => hull[at[unit]])];
    }

    /// <summary>Every size that the greedy order passes through, from the smallest to the largest, with its error.</summary>
    /// <param name="units">What is to be quantised.</param>
    public static IReadOnlyList<(long StoredBits, double Error)> Frontier(IReadOnlyList<AllocationUnit> units)
    {
        ArgumentNullException.ThrowIfNull(units);
        AllocationChoice[][] hulls = [.. units.Select(unit => Hull(unit.Choices))];
        (long bits, double error) = (hulls.Sum(hull => hull[0].StoredBits), hulls.Sum(hull => hull[0].Error));
        List<(long StoredBits, double Error)> points = [(bits, error)];
        foreach ((int unit, int step) in Steps(hulls))
        {
            bits += hulls[unit][step].StoredBits - hulls[unit][step - 1].StoredBits;
            error += hulls[unit][step].Error - hulls[unit][step - 1].Error;
            points.Add((bits, error));
        }

        return points;
    }

    /// <summary>All steps by falling gain; those of one unit stay in order, because its gains fall along the hull.</summary>
    private static IEnumerable<(int Unit, int Step)> Steps(AllocationChoice[][] hulls) => hulls
        .SelectMany((hull, unit) => Enumerable.Range(1, hull.Length - 1).Select(step => (Unit: unit, Step: step)))
        .OrderByDescending(step => Gain(hulls[step.Unit][step.Step - 1], hulls[step.Unit][step.Step]));

    private static double Gain(AllocationChoice from, AllocationChoice to) => (from.Error - to.Error) / (to.StoredBits - from.StoredBits);

    /// <summary>From the smallest choice on, those that no mixture of two others beats.</summary>
    private static AllocationChoice[] Hull(IReadOnlyList<AllocationChoice> choices)
    {
        List<AllocationChoice> hull = [];
        foreach (AllocationChoice choice in choices.OrderBy(choice => choice.StoredBits).ThenBy(choice => choice.Error))
        {
            if (hull.Count > 0 && (choice.Error >= hull[^1].Error || choice.StoredBits == hull[^1].StoredBits))
            {
                continue;
            }

            while (hull.Count > 1 && Gain(hull[^2], hull[^1]) <= Gain(hull[^1], choice))
            {
                hull.RemoveAt(hull.Count - 1);
            }

            hull.Add(choice);
        }

        return [.. hull];
    }
}
