namespace PureQLora.Training;

/// <summary>The learning-rate schedules of transformers' <c>get_scheduler</c>, under the same names.</summary>
public enum ScheduleKind
{
    /// <summary><c>constant</c>: no warm-up.</summary>
    Constant,

    /// <summary><c>constant_with_warmup</c>.</summary>
    ConstantWithWarmup,

    /// <summary><c>linear</c>: down to 0.</summary>
    Linear,

    /// <summary><c>cosine</c>: half a wave down to 0; it rises again past the end.</summary>
    Cosine,

    /// <summary><c>cosine_with_restarts</c>: half waves, each starting at the top.</summary>
    CosineWithRestarts,

    /// <summary><c>cosine_with_min_lr</c>: half a wave down to a lowest rate.</summary>
    CosineWithMinLr,

    /// <summary><c>cosine_warmup_with_min_lr</c>: the same with a warm-up that does not start at 0.</summary>
    CosineWarmupWithMinLr,

    /// <summary><c>polynomial</c>: down to an end rate by a power.</summary>
    Polynomial,

    /// <summary><c>inverse_sqrt</c>: 1 / sqrt(step).</summary>
    InverseSqrt,

    /// <summary><c>warmup_stable_decay</c>: up, level, down.</summary>
    WarmupStableDecay,
}
