namespace Chat.Storage;

/// <summary>
/// The tables of our Marten documents, for the few statements that aggregate over many rows, where loading documents would be
/// wasteful. Their duplicated columns are configured beside the documents.
/// </summary>
/// <param name="schema">The installation's schema.</param>
internal sealed class TableNames(string schema)
{
    public string Schema => schema;

    public string Message { get; } = $"{schema}.mt_doc_message";

    public string Conversation { get; } = $"{schema}.mt_doc_conversation";

    public string ConversationHead { get; } = $"{schema}.mt_doc_conversationhead";

    public string Member { get; } = $"{schema}.mt_doc_member";

    public string Journal { get; } = $"{schema}.journal";

    public string User { get; } = $"{schema}.mt_doc_user";

    public string Block { get; } = $"{schema}.mt_doc_block";

    public string Lineage { get; } = $"{schema}.mt_doc_lineagedocument";

    public string Revocation { get; } = $"{schema}.mt_doc_revocation";

    public string LastSeen { get; } = $"{schema}.mt_doc_lastseen";
}
