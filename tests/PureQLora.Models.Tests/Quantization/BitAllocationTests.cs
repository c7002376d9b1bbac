namespace PureQLora.Models.Tests;

public sealed class BitAllocationTests
{
    [Fact]
    public void Choose_GivenEverySizeOfTheFrontier_ShouldFindTheLeastError()
    {
        for (int seed = 0; seed < 40; seed++)
        {
            AllocationUnit[] units = Units(seed, count: 4, convex: false);
            (long Bits, double Error)[] all = [.. Combinations(units)];
            foreach ((long bits, double error) in BitAllocation.Frontier(units))
            {
                AllocationChoice[] chosen = BitAllocation.Choose(units, bits)!;

                Assert.Equal(error, chosen.Sum(choice => choice.Error), 1e-12);
                Assert.Equal(bits, chosen.Sum(choice => choice.StoredBits));
                Assert.Equal(all.Where(other => other.Bits <= bits).Min(other => other.Error), error, 1e-12);
            }
        }
    }

    [Fact]
    public void Choose_GivenAnyBudget_ShouldKeepToItAndLoseLittleAgainstTheBest()
    {
        double excess = 0;
        for (int seed = 0; seed < 40; seed++)
        {
            AllocationUnit[] units = Units(seed, count: 5, convex: true);
            (long Bits, double Error)[] all = [.. Combinations(units)];
            long budget = (all.Min(other => other.Bits) + all.Max(other => other.Bits)) / 2;

            AllocationChoice[] chosen = BitAllocation.Choose(units, budget)!;

            Assert.True(chosen.Sum(choice => choice.StoredBits) <= budget);
            double best = all.Where(other => other.Bits <= budget).Min(other => other.Error);
            excess += (chosen.Sum(choice => choice.Error) / best) - 1;
        }

        Assert.InRange(excess / 40, 0, 0.15);
    }

    [Fact]
    public void Choose_GivenTooLittle_ShouldSayNo()
    {
        AllocationUnit[] units = Units(1, count: 3, convex: true);
        long least = units.Sum(unit => unit.Choices.Min(choice => choice.StoredBits));

        Assert.Null(BitAllocation.Choose(units, least - 1));
        Assert.NotNull(BitAllocation.Choose(units, least));
    }

    [Fact]
    public void StoredBits_GivenGroups_ShouldCountScalesAndZeroPoints()
    {
        Assert.Equal(10 * ((100 * 3) + (4 * 19)), new LayerSettings(3, 32).StoredBits(10, 100)); // the last group is short
        Assert.Equal(10 * ((100 * 4) + 20), new LayerSettings(4, -1).StoredBits(10, 100));
    }

    private static AllocationUnit[] Units(int seed, int count, bool convex)
    {
        var random = new Random(seed);
        return
        [
            .. Enumerable.Range(0, count).Select(unit =>
            {
                int size = random.Next(1, 50);
                double sensitivity = Math.Exp(4 * random.NextDouble());
                return new AllocationUnit([$"layer {unit}"], [.. new[] { 2, 3, 4, 8 }.Select(bits => new AllocationChoice(
                    new LayerSettings(bits, 64), (long)bits * size, sensitivity * Math.Pow(4, -bits) * (convex ? 1 : 0.5 + random.NextDouble())))]);
            }),
        ];
    }

    private static IEnumerable<(long Bits, double Error)> Combinations(AllocationUnit[] units) => units.Aggregate(
        (IEnumerable<(long Bits, double Error)>)[(0, 0)],
        (sums, unit) => sums.SelectMany(sum => unit.Choices.Select(choice => (sum.Bits + choice.StoredBits, sum.Error + choice.Error))));
}
