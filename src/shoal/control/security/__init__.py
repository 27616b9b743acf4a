"""Who gets in at the control port, and what they may do there.

authenticating   from a credential to whom it stands for: API keys, and other kinds by a port
backoff          those who fail again and again are told to wait
rules            the table: for every route, what it takes to be let through
desk             who asks, may they, and a record if they may not
credentials      what a request shows
guard            the desk in front of the application
granting         whose keys somebody may make, see and revoke
"""
