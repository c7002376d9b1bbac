using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Training.Tests;

public sealed class LearningRateScheduleTests
{
    [Fact]
    public void Rate_GivenEveryGoldenSchedule_ShouldEqualTransformersToTheLastBit()
    {
        JsonElement[] cases = Golden.Cases("lr.json");
        Assert.Equal(20, cases.Length);
        foreach (JsonElement row in cases)
        {
            LearningRateSchedule schedule = Read(row);
            schedule.Validate();
            double[] expected = [.. row.GetProperty("lr").EnumerateArray().Select(rate => rate.GetDouble())];
            double[] actual = [.. Enumerable.Range(0, expected.Length).Select(schedule.Rate)];
            Assert.True(expected.SequenceEqual(actual), $"{row.Text("name")} {row.GetProperty("kwargs").GetRawText()}: {string.Join(' ', expected.Zip(actual).Where(pair => pair.First != pair.Second))}");
        }
    }

    [Fact]
    public void Rate_GivenNoWarmup_ShouldStartAtTheTop()
    {
        foreach (ScheduleKind kind in Enum.GetValues<ScheduleKind>())
        {
            LearningRateSchedule schedule = new() { Kind = kind, BaseRate = 1, TotalSteps = 1000, DecaySteps = 100, MinRateRatio = 0.1 };
            Assert.InRange(schedule.Rate(0), 0.999, 1);
        }
    }

    [Fact]
    public void Validate_GivenSettingsThatDoNotFit_ShouldSayWhatIsAllowed()
    {
        LearningRateSchedule good = new() { TotalSteps = 50 };
        good.Validate();
        LearningRateSchedule[] bad =
        [
            good with { BaseRate = 0 },
            good with { BaseRate = double.NaN },
            good with { TotalSteps = 0 },
            good with { WarmupSteps = 51 },
            good with { WarmupSteps = -1 },
            good with { Power = 0 },
            good with { Timescale = 0 },
            good with { Cycles = -1 },
            good with { MinRateRatio = 2 },
            good with { Kind = ScheduleKind.Polynomial, EndRate = 1 },
            good with { Kind = ScheduleKind.CosineWithMinLr },
            good with { Kind = ScheduleKind.CosineWithMinLr, MinRate = 1e-5, MinRateRatio = 0.1 },
            good with { Kind = ScheduleKind.WarmupStableDecay },
            good with { Kind = ScheduleKind.WarmupStableDecay, WarmupSteps = 30, DecaySteps = 21 },
        ];
        foreach (LearningRateSchedule schedule in bad)
        {
            Assert.Throws<UserErrorException>(schedule.Validate);
        }
    }

    [Fact]
    public void ParseKind_GivenAnUnknownName_ShouldNameTheKnownOnes() =>
        Assert.Contains("inverse_sqrt", Assert.Throws<UserErrorException>(() => LearningRateSchedule.ParseKind("cosin")).Message, StringComparison.Ordinal);

    private static LearningRateSchedule Read(JsonElement row)
    {
        JsonElement options = row.GetProperty("kwargs");
        double? Number(string name) => options.TryGetProperty(name, out JsonElement value) ? value.GetDouble() : null;
        RampShape? Shape(string name) => options.TryGetProperty(name, out JsonElement value) ? LearningRateSchedule.ParseShape(value.GetString()!) : null;
        LearningRateSchedule defaults = new() { TotalSteps = row.GetProperty("num_training_steps").GetInt32() };
        return defaults with
        {
            Kind = LearningRateSchedule.ParseKind(row.Text("name")),
            BaseRate = row.GetProperty("base_lr").GetDouble(),
            WarmupSteps = row.GetProperty("num_warmup_steps").GetInt32(),
            Cycles = Number("num_cycles"),
            MinRate = Number("min_lr"),
            MinRateRatio = Number("min_lr_rate") ?? Number("min_lr_ratio"),
            WarmupRateRatio = Number("warmup_lr_rate"),
            Power = Number("power") ?? defaults.Power,
            EndRate = Number("lr_end") ?? defaults.EndRate,
            Timescale = (int?)Number("timescale"),
            StableSteps = (int?)Number("num_stable_steps"),
            DecaySteps = (int?)Number("num_decay_steps"),
            WarmupShape = Shape("warmup_type") ?? RampShape.Linear,
            DecayShape = Shape("decay_type") ?? RampShape.Cosine,
        };
    }
}
