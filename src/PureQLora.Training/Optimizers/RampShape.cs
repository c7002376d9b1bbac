namespace PureQLora.Training;

/// <summary>Shape of the warm-up and of the decay of <see cref="ScheduleKind.WarmupStableDecay"/>; p is the progress through it.</summary>
public enum RampShape
{
    /// <summary><c>linear</c>: p up, 1 − p down.</summary>
    Linear,

    /// <summary><c>cosine</c>: (1 − cos πp) / 2 up, (1 + cos 2πp·cycles) / 2 down.</summary>
    Cosine,

    /// <summary><c>1-sqrt</c>: 1 − sqrt(1 − p) up, 1 − sqrt p down.</summary>
    OneMinusSqrt,
}
