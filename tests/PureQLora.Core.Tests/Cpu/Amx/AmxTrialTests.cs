using System.ComponentModel;

namespace PureQLora.Core.Tests;

/// <summary>Whatever is missing, tiles are refused in words and nothing crashes.</summary>
public sealed class AmxTrialTests
{
    private const int OperationNotPermitted = 1;
    private const ulong Tiles = 3UL << 17;

    [Fact]
    public void Trial_GivenPermissionAndRightProducts_ShouldFindNoObstacle() =>
        Assert.Null(new AmxTrial(() => null, () => true).Obstacle());

    [Fact]
    public void Trial_GivenNoPermission_ShouldNotRunATile() =>
        Assert.Equal("no", new AmxTrial(() => "no", () => throw new InvalidOperationException("A tile ran.")).Obstacle());

    [Fact]
    public void Trial_GivenWrongProducts_ShouldSaySo() =>
        Assert.Equal("products of its tiles are wrong here", new AmxTrial(() => null, () => false).Obstacle());

    [Fact]
    public void Trial_GivenForbiddenPages_ShouldSaySo() =>
        Assert.Contains("gives no memory for code", new AmxTrial(() => null, () => throw new Win32Exception(13)).Obstacle(), StringComparison.Ordinal);

    [Fact]
    public void Permission_GivenSystemThatGrantsTiles_ShouldAskOnce()
    {
        List<int> asked = [];
        Assert.Null(AmxPermission.Ask((operation, argument) =>
        {
            asked.Add(operation);
            return Answer(operation, argument, granted: Tiles);
        }));
        Assert.Equal([AmxPermission.GetSupported, AmxPermission.Request, AmxPermission.GetPermitted], asked);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(1UL << 18)]
    public void Permission_GivenSystemWithoutTiles_ShouldNotAskForThem(ulong supported) =>
        Assert.StartsWith(
            "the system does not support tiles",
            AmxPermission.Ask((operation, argument) =>
                operation == AmxPermission.GetSupported ? Write(argument, supported) : throw new InvalidOperationException("Asked.")),
            StringComparison.Ordinal);

    [Fact]
    public void Permission_GivenSystemThatDoesNotKnowTheQuestion_ShouldSaySo() =>
        Assert.StartsWith("the system does not support tiles", AmxPermission.Ask((_, _) => 22), StringComparison.Ordinal);

    [Fact]
    public void Permission_GivenRefusal_ShouldGiveTheSystemsReason() =>
        Assert.Contains(
            new Win32Exception(OperationNotPermitted).Message,
            AmxPermission.Ask((operation, argument) => operation == AmxPermission.Request ? OperationNotPermitted : Answer(operation, argument, Tiles)),
            StringComparison.Ordinal);

    [Fact]
    public void Permission_GivenGrantWithoutEffect_ShouldBeRefused() =>
        Assert.NotNull(AmxPermission.Ask((operation, argument) => Answer(operation, argument, granted: 0)));

    [Fact]
    public void Permission_GivenThisMachine_ShouldAgreeWithTheProcessor()
    {
        if (!CpuFeatures.Amx)
        {
            Assert.NotNull(AmxPermission.Obstacle);
        }

        Assert.Equal(AmxPermission.Obstacle, AmxPermission.Obstacle);
    }

    private static int Answer(int operation, nint argument, ulong granted) => operation switch
    {
        AmxPermission.GetSupported => Write(argument, Tiles),
        AmxPermission.GetPermitted => Write(argument, granted),
        _ => 0,
    };

    private static unsafe int Write(nint argument, ulong features)
    {
        *(ulong*)argument = features;
        return 0;
    }
}
